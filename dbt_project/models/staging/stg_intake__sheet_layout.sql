with

source as (
    select * from {{ source('intake', 'sheet_layout') }}
),

renamed as (
    select
        submission_id,
        sheet,
        column_name,
        column_letter,
        header_text
    from source
)

select * from renamed
