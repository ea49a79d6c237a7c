-- A product by number or by code.
SELECT pp.id
FROM product_product pp
JOIN product_template t ON t.id = pp.template
WHERE pp.active AND t.active
    AND CASE WHEN %(code)s::text IS NULL THEN pp.id = %(product)s ELSE pp.code = %(code)s END
ORDER BY t.name, pp.code, pp.id
LIMIT 1
