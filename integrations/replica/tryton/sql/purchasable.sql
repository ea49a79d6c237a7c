-- Products that may be bought, with the unit they are bought in.
SELECT pp.id, COALESCE(pp.code, '') AS code, pp.template,
    CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END AS name, u.name AS unit, u.digits
FROM product_product pp
JOIN product_template t ON t.id = pp.template
JOIN product_uom u ON u.id = t.purchase_uom
WHERE pp.id = ANY(%(products)s) AND pp.active AND t.active AND t.purchasable
ORDER BY pp.id
