-- Customer shipments of sales orders that have not left, and the day each is planned for.
SELECT DISTINCT l.sale, o.id, o.planned_date
FROM sale_line l
JOIN stock_move m ON m.origin = 'sale.line,' || l.id
JOIN stock_shipment_out o ON m.shipment = 'stock.shipment.out,' || o.id AND o.company = %(company)s
WHERE l.sale = ANY(%(orders)s) AND o.state NOT IN ('done', 'cancelled', 'shipped')
ORDER BY l.sale, o.id
