-- Every company of the database with its currency.
SELECT k.id, c.code AS currency FROM company_company k JOIN currency_currency c ON c.id = k.currency ORDER BY k.id
