-- One production order of the company.
SELECT p.id, COALESCE(p.number, '') AS number, COALESCE(p.reference, '') AS reference, p.state,
    p.product, CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END AS product_name,
    p.quantity::numeric AS quantity, u.name AS unit, u.digits, p.planned_start_date, p.planned_date
FROM production p
JOIN product_product pp ON pp.id = p.product
JOIN product_template t ON t.id = pp.template
JOIN product_uom u ON u.id = p.unit
WHERE p.id = %(order)s AND p.company = %(company)s
