// SAP's CAP and the cap-js community's V2 adapter serve the protocol. Ours is the front: CSRF protection as an SAP
// Gateway does it, 204 to V2 changes, faults, and a list of every call, for tests to count in.
const cds = require('@sap/cds')
const cov2ap = require('@cap-js-community/odata-v2-adapter')
const crypto = require('crypto')
const fs = require('fs')
const { effects, stamp } = require('./stamp')

const tokens = new Map()
const calls = []
let faults = []

function cookies(req) {
  return Object.fromEntries((req.headers.cookie || '').split(/; */).filter(Boolean).map(one => one.split(/=(.*)/s)))
}

function gate(req, res, next) {
  const wanted = (req.headers['x-csrf-token'] || '').toLowerCase()
  if (['GET', 'HEAD'].includes(req.method)) {
    if (wanted === 'fetch') {
      const session = crypto.randomBytes(12).toString('hex'), token = crypto.randomBytes(16).toString('base64')
      tokens.set(session, token)
      res.setHeader('x-csrf-token', token)
      res.setHeader('set-cookie', [`SAP_SESSIONID_RIG_100=${session}; path=/; HttpOnly`, 'sap-usercontext=sap-client=100; path=/'])
    }
    return next()
  }
  const token = tokens.get(cookies(req).SAP_SESSIONID_RIG_100)
  if (token && req.headers['x-csrf-token'] === token && cookies(req)['sap-usercontext']) return next()
  res.setHeader('x-csrf-token', 'Required')
  res.status(403).type('text/plain').send('CSRF token validation failed')
}

// {kind, times, reads}: the next so many writes, or with `reads` any calls, go wrong
function fault(req, res, next) {
  const reading = ['GET', 'HEAD'].includes(req.method)
  const one = faults.find(f => f.times > 0 && Boolean(f.reads) === reading && (!f.path || req.originalUrl.includes(f.path)) && (!f.method || f.method === req.method))
  if (!one) return next()
  one.times -= 1
  req.call.fault = one.kind
  if (one.kind === '503') return res.set('Retry-After', '2').status(503).json({ error: { code: 'SERVICE_UNAVAILABLE', message: { lang: 'en', value: 'down' } } })
  if (one.kind === '429') return res.set('Retry-After', '1').status(429).end()
  if (one.kind === 'html') return res.status(200).type('html').send('<html><title>Logon</title><form action="/saml2"></form></html>')
  if (one.kind === 'redirect') return res.redirect(302, 'https://idp.example.invalid/saml2')
  if (one.kind === 'csrf') { tokens.clear(); return next() }
  if (one.kind === '401') return res.status(401).end()
  if (one.kind === '405') return res.status(405).json({ error: { code: '405', message: { lang: 'en', value: 'Method not allowed' } } })
  if (one.kind === 'xml') return res.status(400).type('application/xml').send('<?xml version="1.0"?><error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><code>CO/469</code><message xml:lang="en">Order is locked by SMITH</message><innererror><transactionid>5F2A</transactionid></innererror></error>')
  if (one.kind === 'drop-before') return req.socket.destroy()
  // What nobody hears may have been a refusal.
  if (one.kind === 'drop-after') { res.end = function (body) { req.call.unheard = { status: res.statusCode, body: String(body ?? '').slice(0, 500) }; req.socket.destroy(); return this } }
  if (one.kind === 'cut') {
    res.writeHead = () => res
    res.write = () => true
    res.end = function () { req.socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"d":'); return this }
  }
  next()
}

cds.on('bootstrap', app => {
  app.get('/control/calls', (_, res) => res.json(calls))
  app.get('/control/effects', (_, res) => res.json(effects))
  app.post('/control/fail', require('express').json(), (req, res) => { faults.push({ times: 1, ...req.body }); res.json({}) })
  app.post('/control/heal', (_, res) => { faults = []; res.json({}) })
  // What the V2 adapter asks of the V4 service behind it comes in here too, under /odata: not a call of a client's.
  app.use(['/sap', '/rig'], (req, res, next) => {
    req.call = { method: req.method, path: decodeURIComponent(req.originalUrl), headers: { ...req.headers, authorization: undefined, cookie: undefined } }
    calls.push(req.call)
    res.on('close', () => { req.call.status = res.writableFinished && res.statusCode })
    next()
  })
  app.use(['/sap', '/rig'], fault)
  app.use(['/sap', '/rig'], gate)
  app.use(cov2ap({ path: 'sap/opu/odata/sap' }))
})

const day = ahead => new Date(Date.now() + ahead * 86400000).toISOString().slice(0, 10)

cds.on('served', async () => {
  const put = (entity, rows) => cds.run(INSERT.into(`cs.rig.${entity}`).entries(rows))
  await put('Supplier', [
    { Supplier: '17300001', SupplierName: 'Domestic Supplier 1', to_SupplierPurchasingOrg: [{ PurchasingOrganization: '1010', PurchaseOrderCurrency: 'EUR' }] },
    { Supplier: '17300002', SupplierName: 'Blocked Supplier', PurchasingIsBlocked: true, to_SupplierPurchasingOrg: [{ PurchasingOrganization: '1010', PurchaseOrderCurrency: 'EUR' }] },
  ])
  await put('PurchasingInfoRecord', [['5300000001', 'RM122', 'PC', '12.50', 1, '10', '200', 7], ['5300000002', 'RM123', 'KG', '410.00', 100, '0', '50', 3]].map(
    ([PurchasingInfoRecord, Material, unit, NetPriceAmount, per, least, usual, days]) => ({
      PurchasingInfoRecord, Material, Supplier: '17300001', PurgDocOrderQuantityUnit: unit,
      to_PurgInfoRecdOrgPlantData: [{ PurchasingOrganization: '1010', Plant: '1010', Currency: 'EUR', NetPriceAmount, MaterialPriceUnitQty: per, PurchaseOrderPriceUnit: unit, MinimumPurchaseOrderQuantity: least, StandardPurchaseOrderQuantity: usual, MaterialPlannedDeliveryDurn: days }],
    })))
  await put('ProductionOrder', Array.from({ length: 7 }, (_, n) => ({
    ManufacturingOrder: String(1000001 + n), Material: 'FG126', TotalQuantity: '120.000', MfgOrderPlannedStartDate: day(n - 2), MfgOrderPlannedEndDate: day(n + 2),
    OrderIsReleased: n === 1 ? 'X' : '', LastChangeDateTime: stamp(),
  })))
})

// Loopback only.
cds.once('bootstrap', app => { app.listen = port => require('http').createServer(app).listen(port, '127.0.0.1') })

cds.once('listening', ({ server }) => fs.writeFileSync(process.env.READY, JSON.stringify({ port: server.address().port, pid: process.pid })))
module.exports = cds.server
