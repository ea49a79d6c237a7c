// Ours: who may come in. Basic by ACCOUNTS ({login: {secret, roles}}), or a bearer token signed by the token server
// at JWKS, whose subject is the login. What a role may do is in services.cds, and CAP enforces that.
const cds = require('@sap/cds')
const accounts = JSON.parse(process.env.ACCOUNTS || '{}')
let keys

module.exports = async function (req, res, next) {
  const [kind, value] = (req.headers.authorization || '').split(' ')
  let login = ''
  if (kind === 'Basic' && !process.env.JWKS) {
    const [name, ...rest] = Buffer.from(value, 'base64').toString().split(':')
    if (accounts[name] && accounts[name].secret === rest.join(':')) login = name
  } else if (kind === 'Bearer' && process.env.JWKS) {
    const { createRemoteJWKSet, jwtVerify } = await import('jose')
    keys ??= createRemoteJWKSet(new URL(process.env.JWKS))
    try {
      const { payload } = await jwtVerify(value, keys)
      if (!globalThis.revoked?.has(value)) login = String(payload.sub)
    } catch { /* no token of that server: nobody */ }
  }
  if (!accounts[login]) return res.set('WWW-Authenticate', process.env.JWKS ? 'Bearer' : 'Basic realm="rig"').sendStatus(401)
  req.user = cds.context.user = new cds.User({ id: login, roles: accounts[login].roles })
  next()
}
