// A Sparkplug B edge node: Eclipse's sparkplug-client from npm, told on standard input what to publish.
// Ours is only this wiring. One JSON object a line:
//   {"birth": {"JobOrder": ["String", "17"], ...}}   device birth (the node's own birth is published when it connects)
//   {"data": {"GoodCount": ["Int64", 18]}, "historical": true, "at": 1760000000000, "null": ["State"], "quality": 500}
//   {"ddeath": true}   {"skip": 3}   {"rebirth": true}   {"alias": true}
// It prints one JSON object a line: {"up": true}, {"done": true}, and every command that reaches it.
const sparkplug = require('sparkplug-client')
const readline = require('readline')

const [port, secret] = process.argv.slice(2)
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const client = sparkplug.newClient({
  serverUrl: `mqtt://127.0.0.1:${port}`, username: 'edge', password: secret, groupId: 'Plant1', edgeNode: 'Line1',
  clientId: 'edge-line1', version: 'spBv1.0', keepalive: 2,
})
let aliases = null

const nodeBirth = () => client.publishNodeBirth({
  timestamp: Date.now(), metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: false }],
})

function metrics (told, birth) {
  const absent = new Set(told.null || [])
  const source = told.birth || told.data
  return Object.entries(source).map(([name, [type, value]], place) => {
    const one = { name, type, value, timestamp: told.at || Date.now() }
    if (aliases && birth) aliases[name] = one.alias = place + 1
    if (aliases && !birth) { one.alias = aliases[name]; delete one.name }
    if (told.historical) one.isHistorical = true
    if (absent.has(name)) { one.isNull = true; one.value = null }
    if (told.quality !== undefined) one.properties = { Quality: { type: 'Int32', value: told.quality } }
    return one
  })
}

client.on('birth', () => { nodeBirth(); say({ up: true }) })
client.on('ncmd', (payload) => say({ command: 'NCMD', metrics: (payload.metrics || []).length }))
client.on('dcmd', (device, payload) => say({ command: 'DCMD', device, metrics: (payload.metrics || []).length }))
client.on('error', (error) => say({ error: String(error.message) }))

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line)
  if (told.alias) aliases = {}
  if (told.skip) client.seq += told.skip
  if (told.rebirth) nodeBirth()
  const payload = { timestamp: told.at || Date.now() }
  if (told.birth) client.publishDeviceBirth('Press4', { ...payload, metrics: metrics(told, true) })
  if (told.data) client.publishDeviceData('Press4', { ...payload, metrics: metrics(told, false) }, { compress: !!told.compress })
  if (told.ddeath) client.publishDeviceDeath('Press4', { ...payload, metrics: [] })
  say({ done: true })
}).on('close', () => process.exit(0))
