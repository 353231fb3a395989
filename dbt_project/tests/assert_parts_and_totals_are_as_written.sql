-- What the documents themselves say, kept as written. 钦政办〔2022〕22号 contradicts itself: four parts of 带动就业创业 make
-- 9,600, its total is 10,000. 陕人社发〔2022〕13号 sets floors for four kinds that make 40 of 100. The others agree.
with

expected (target_id, parts, parts_target_value, total_target_value) as (
    values
    ('gx_bagui_brand_2021.training', 3, 450000, 450000),
    ('gx_bagui_brand_2021.employment', 3, 600000, 600000),
    ('qz_bagui_brand_2022.training', 4, 12000, 12000),
    ('qz_bagui_brand_2022.employment', 4, 9600, 10000),
    ('sx_labour_brand_2022.brand', 4, 40, 100),
    ('gz_ten_projects_2020.training_domestic', 4, 120000, 120000)
),

found as (
    select * from {{ ref('mart_programme_consistency') }}
    where period = '{{ run_period() }}'
)

select
    coalesce(expected.target_id, found.target_id) as target_id,
    expected.parts_target_value as expected_parts,
    found.parts_target_value as found_parts,
    expected.total_target_value as expected_total,
    found.total_target_value as found_total
from expected
full outer join found on expected.target_id = found.target_id
where
    expected.parts is distinct from found.parts
    or expected.parts_target_value is distinct from found.parts_target_value
    or expected.total_target_value is distinct from found.total_target_value
    or found.target_difference is distinct from expected.parts_target_value - expected.total_target_value
