-- Of one item, region and tier only one standard is in force on any day: a claim's standard is never ambiguous.
with

standards as (
    select * from {{ ref('dim_subsidy_standard') }}
)

select
    one.item_code,
    one.area_code,
    one.tier,
    one.valid_from,
    other.valid_from as other_valid_from
from standards as one
inner join standards as other
    on
        one.item_code = other.item_code
        and one.area_code = other.area_code
        and one.tier = other.tier
        and one.valid_from < other.valid_from
        and one.valid_to >= other.valid_from
