-- Production orders that are not done, by their start.
SELECT p.id, COALESCE(p.number, '') AS number, COALESCE(p.reference, '') AS reference, NULL AS revision, p.state,
    CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END AS product_name,
    p.planned_start_date, p.planned_date
FROM production p
JOIN product_product pp ON pp.id = p.product
JOIN product_template t ON t.id = pp.template
WHERE p.company = %(company)s AND p.state IN ('request', 'draft', 'waiting', 'assigned', 'running')
ORDER BY p.planned_start_date, p.id
