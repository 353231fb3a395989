-- Findings of the period that nobody has mended or settled, one a line. They live in the ledger, not in the marts: a
-- county mends a sheet without the month being built anew. What stands in the cell is not read.
select
    finding.reporter_code,
    reporter.region_code as county_code,
    coalesce(finding.form, 'file') as form,
    finding.code,
    finding.severity,
    finding.rule,
    finding.sheet,
    finding.source_row,
    finding.cell,
    -- The detail of a code ends somewhere; the number of its findings does not.
    case
        when
            row_number() over (
                partition by finding.receipt_id, finding.submission_id, finding.code order by finding.finding_id
            ) = 1
            then coalesce(tally.found - tally.stored, 0)
        else 0
    end as further_findings
from intake.finding as finding
inner join intake.reporter as reporter on finding.reporter_code = reporter.reporter_code
left join intake.finding_tally as tally
    on
        finding.receipt_id = tally.receipt_id
        and finding.submission_id is not distinct from tally.submission_id
        and finding.code = tally.code
where finding.period = %(period)s and finding.state in ('open', 'explained')
order by
    finding.reporter_code,
    position(finding.severity in 'ERW'),
    finding.code,
    finding.form,
    finding.sheet,
    finding.source_row,
    finding.cell,
    finding.finding_id
