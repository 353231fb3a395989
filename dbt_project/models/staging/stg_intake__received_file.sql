with

source as (
    select * from {{ source('intake', 'received_file') }}
),

renamed as (
    select
        receipt_id,
        sha256,
        file_name,
        received_at,
        period,
        reporter_code,
        outcome as file_outcome
    from source
)

select * from renamed
