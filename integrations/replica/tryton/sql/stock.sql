-- What there is of products in the stores of all warehouses, in the unit they are counted in.
-- there: done until today. free: less what is assigned to leave. forecast: with everything still to come and to leave;
-- a draft move whose day is over counts for nothing, one without a day counts. So Tryton counts: stock/move.py,
-- compute_quantities_query. An assigned move without a day of its own moves today.
WITH RECURSIVE stores AS (
    SELECT storage_location AS id FROM stock_location WHERE type = 'warehouse' AND active
    UNION
    SELECT l.id FROM stock_location l JOIN stores s ON l.parent = s.id WHERE l.active
),
moves AS (
    SELECT product, from_location, to_location, internal_quantity::numeric AS quantity, state,
        COALESCE(effective_date, CASE WHEN state = 'assigned' THEN %(today)s::date END, planned_date) AS day
    FROM stock_move
    WHERE product = ANY(%(products)s) AND company = %(company)s AND state IN ('draft', 'assigned', 'done')
),
flows AS (
    SELECT product, quantity, state, day, false AS leaves FROM moves WHERE to_location IN (SELECT id FROM stores)
    UNION ALL
    SELECT product, -quantity, state, day, true FROM moves WHERE from_location IN (SELECT id FROM stores)
)
SELECT pp.id AS product, COALESCE(pp.code, '') AS code, pp.template,
    CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END AS name,
    u.name AS unit, u.digits,
    COALESCE(sum(f.quantity) FILTER (WHERE f.state = 'done' AND f.day <= %(today)s), 0) AS there,
    COALESCE(sum(f.quantity) FILTER (
        WHERE (f.state = 'done' OR (f.state = 'assigned' AND f.leaves)) AND f.day <= %(today)s), 0) AS free,
    COALESCE(sum(f.quantity) FILTER (
        WHERE (f.state = 'done' AND f.day <= %(today)s) OR COALESCE(f.day, 'infinity') >= %(today)s), 0) AS forecast
FROM product_product pp
JOIN product_template t ON t.id = pp.template
JOIN product_uom u ON u.id = t.default_uom
LEFT JOIN flows f ON f.product = pp.id
WHERE pp.id = ANY(%(products)s) AND pp.active AND t.active
GROUP BY pp.id, t.id, u.id
