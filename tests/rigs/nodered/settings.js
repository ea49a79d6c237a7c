// Headless Node-RED for tests: loopback only, no editor and no admin door, the flow from the file it is started with.
// The Standard Webhooks library of npm is given to the function nodes: neither end checks itself.
const { Webhook } = require('standardwebhooks')

module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.RIG_PORT),
  userDir: process.env.RIG_HOME,
  flowFile: 'flows.json',
  httpAdminRoot: false,
  httpNodeRoot: '/',
  credentialSecret: 'test-only',
  diagnostics: { enabled: false },
  telemetry: { enabled: false },
  functionExternalModules: false,
  functionGlobalContext: { Webhook, fetch: globalThis.fetch },
  logging: { console: { level: 'warn' } }
}
