// The flow, written as code so that it can be read: `node flow.js > flows.json`. It is ours; Node-RED runs it.
//
//   POST /erp/<type>   takes a signed message: 401 not signed, 403 another type, 409 the ERP's record is not at the
//                      stamps that the message expects, 422 no payload, 202 taken (duplicate: true when it was before)
//   then               writes it into the ERP, and posts what became of it, signed, to the callback's address
//   POST /rig/set      {mode, callback, delay}: how to behave from now on, and where to call back; forgets what was
//   GET  /rig/told     {marker, jobs, answers}: ids taken, and what each callback was answered
const body = f => f.toString().replace(/^[^{]*\{\n/, '').replace(/\n\}$/, '')

async function accept (msg) {
  const Webhook = global.get('Webhook'); const h = msg.req.headers; const type = msg.req.path.split('/').pop()
  const answer = (status, content) => [{ ...msg, statusCode: status, headers: { 'content-type': 'application/json' }, payload: content }, null]
  const refuse = (status, code, message) => answer(status, { error: { code, message } })
  const set = flow.get('set') || {}
  const secrets = JSON.parse(env.get('RIG_SECRETS'))
  let job
  try { job = new Webhook(secrets[type]).verify(msg.payload.toString('utf8'), h) } catch (e) { return refuse(401, 'unauthorised', String(e.message)) }
  if (set.mode === 'redirect') return [{ ...msg, statusCode: 302, headers: { location: set.callback }, payload: '' }, null]
  if (set.mode === 'busy') return [{ ...msg, statusCode: 429, headers: { 'retry-after': '7' }, payload: 'slow down' }, null]
  if (set.mode === 'bad_gateway') return [{ ...msg, statusCode: 502, headers: { 'content-type': 'text/html' }, payload: '<h1>502</h1>' }, null]
  if (set.mode === 'page') return [{ ...msg, statusCode: 200, headers: { 'content-type': 'text/html' }, payload: '<h1>Please sign in</h1>' }, null]
  if (job.type !== type) return refuse(403, 'out_of_scope', 'This endpoint takes ' + type + ' and nothing else.')
  const id = h['webhook-id']; const jobs = flow.get('jobs') || {}
  if (jobs[id]) return answer(202, { accepted: true, id, duplicate: true })
  for (const [name, stamp] of Object.entries(job.data.expect || {})) {
    const [kind, ...rest] = name.split(' ')
    const key = rest.pop().split('/')[0] // "purchase 31", or one of its lines: "purchase line 31/2"
    const found = await global.get('fetch')(env.get('RIG_ERP') + '/api/record?' + new URLSearchParams({ kind, key }), { headers: { authorization: env.get('RIG_READS_AS') } })
    const view = found.ok ? await found.json() : { stamps: {} }
    if (view.stamps[name] !== stamp) return refuse(409, 'stale', name + ' was changed in the meantime.')
  }
  if (!Object.keys(job.data.payload || {}).length) return refuse(422, 'rejected', 'There is no payload.')
  jobs[id] = job.type; flow.set('jobs', jobs)
  const taken = answer(202, { accepted: true, id, duplicate: false })[0]
  const work = { id, job, mode: set.mode || 'ok', callback: set.callback }
  if (work.mode !== 'early') return [taken, work]
  return [null, { ...work, taken }] // answered after the callback was
}

async function write (msg) {
  const { job, mode, id } = msg; const p = job.data.payload
  if (mode === 'slow') await new Promise(resolve => setTimeout(resolve, 4000))
  // As the planners there do it: the materials follow the quantity, rounded up to what their units know.
  const materials = async quantity => {
    const found = await global.get('fetch')(env.get('RIG_ERP') + '/api/record?' + new URLSearchParams({ kind: 'production', key: p.order }), { headers: { authorization: env.get('RIG_READS_AS') } })
    const scaled = text => { const [whole, part = ''] = text.split('.'); return [BigInt(whole + part), part.length] }
    return (await found.json()).bom.map(part => {
      const [each, places] = scaled(part.per_unit); const [many, more] = scaled(quantity)
      const [have, want] = [10n ** BigInt(places + more), 10n ** BigInt(part.digits)]
      const needed = (each * many * want + have - 1n) / have
      return { product: part.key, quantity: needed / want + (part.digits ? '.' + String(needed % want).padStart(part.digits, '0') : '') }
    })
  }
  const given = o => Object.fromEntries(Object.entries(o).filter(([, value]) => value != null))
  const calls = {
    production_order_quantity: async () => ['production.write', { key: p.order, values: { quantity: p.quantity.value, materials: await materials(p.quantity.value) } }],
    purchase_order_line_change: ['purchase.write_line', {
      key: p.order, line: p.line, values: given({ quantity: p.quantity?.value, unit_price: p.unit_price?.amount, delivery_date: p.delivery_date })
    }],
    production_order_reschedule: ['production.write', { key: p.order, values: { planned_start: p.planned_start, planned_finish: p.planned_finish } }],
    purchase_order_create: ['purchase.create', {
      values: {
        supplier: p.supplier, note: p.note || '', reference: job.data.reference,
        lines: (p.lines || []).map(l => ({ product: l.product, quantity: l.quantity.value, unit: l.quantity.unit, unit_price: l.unit_price.amount, currency: l.unit_price.currency, delivery_date: l.delivery_date }))
      }
    }],
    sales_order_promise: ['sale.write', { key: p.order, values: { promised_date: p.promised_date } }],
    plant_notice: [null, {}]
  }
  const call = calls[job.type]
  const [operation, content] = typeof call === 'function' ? await call() : call
  msg.done = mode !== 'reject'; msg.number = 'notice ' + id; msg.text = 'The approver of the flow said no.'
  if (operation && !['reject', 'silent', 'liar'].includes(mode)) {
    const accounts = JSON.parse(env.get('RIG_WRITES_AS'))
    const answer = await global.get('fetch')(env.get('RIG_ERP') + '/api/' + operation, {
      method: 'POST',
      headers: { authorization: accounts[job.type], 'content-type': 'application/json', reference: job.data.reference, step: 'flow' },
      body: JSON.stringify({ ...content, expect: job.data.expect })
    })
    const said = await answer.json()
    msg.done = answer.ok; msg.number = said.number; msg.text = answer.ok ? '' : said.error.message
  }
  return ['silent', 'mute'].includes(mode) ? null : msg
}

function tell (msg) {
  const Webhook = global.get('Webhook')
  const message = (id, done) => {
    const content = JSON.stringify({ type: done ? 'transaction.committed' : 'transaction.rejected', timestamp: new Date().toISOString(), data: { reference: msg.job.data.reference, document: done ? String(msg.number) : '', text: done ? '' : msg.text } })
    const now = new Date()
    return {
      url: msg.callback, method: 'POST', payload: content, id, taken: msg.taken, res: undefined,
      headers: { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': String(Math.floor(now.getTime() / 1000)), 'webhook-signature': new Webhook(env.get('RIG_CALLBACK_SECRET')).sign(id, now, content) }
    }
  }
  const first = message('cb_' + msg.id, msg.done)
  if (msg.mode === 'twice') return [[first, RED.util.cloneMessage(first)]]
  if (msg.mode === 'contradict') setTimeout(() => node.send(message('cb2_' + msg.id, !msg.done)), 1500)
  return first
}

function log (msg) {
  const answers = flow.get('answers') || []
  answers.push({ id: msg.id, status: msg.statusCode, body: String(msg.payload).slice(0, 300) }); flow.set('answers', answers)
  return msg.taken ? msg.taken : null
}

function set (msg) {
  flow.set('set', msg.payload); flow.set('answers', []); flow.set('jobs', {})
  msg.statusCode = 200; msg.payload = {}
  return msg
}

function told (msg) {
  msg.payload = { marker: env.get('RIG_MARKER'), jobs: flow.get('jobs') || {}, answers: flow.get('answers') || [] }
  return msg
}

const at = { z: 'tab', x: 0, y: 0 } // without a place, Node-RED takes a node for configuration
const code = (id, f, outputs, wires) => ({ ...at, id, type: 'function', name: f.name, func: body(f), outputs, wires })
const flows = [
  { id: 'tab', type: 'tab', label: 'ERP middleware under test' },
  // One for each: the signature is over the raw bytes, and Node-RED leaves those alone only at an address without parts.
  ...['plant_notice', 'production_order_quantity', 'production_order_reschedule', 'purchase_order_create', 'purchase_order_line_change', 'sales_order_promise', 'other'].map(type => (
    { ...at, id: 'in-' + type, type: 'http in', url: '/erp/' + type, method: 'post', upload: false, skipBodyParsing: true, wires: [['accept']] }
  )),
  code('accept', accept, 2, [['out'], ['delay']]),
  { ...at, id: 'out', type: 'http response', statusCode: '', headers: {}, wires: [] },
  { ...at, id: 'delay', type: 'delay', pauseType: 'delay', timeout: '150', timeoutUnits: 'milliseconds', rate: '1', nbRateUnits: '1', rateUnits: 'second', randomFirst: '1', randomLast: '5', randomUnits: 'seconds', drop: false, allowrate: false, outputs: 1, wires: [['write']] },
  code('write', write, 1, [['tell']]),
  code('tell', tell, 1, [['post']]),
  { ...at, id: 'post', type: 'http request', method: 'use', ret: 'txt', paytoqs: 'ignore', url: '', tls: '', persist: false, proxy: '', insecureHTTPParser: false, authType: '', senderr: false, headers: [], wires: [['log']] },
  code('log', log, 1, [['out']]),
  { ...at, id: 'set-in', type: 'http in', url: '/rig/set', method: 'post', upload: false, wires: [['set']] },
  code('set', set, 1, [['out']]),
  { ...at, id: 'told-in', type: 'http in', url: '/rig/told', method: 'get', upload: false, wires: [['told']] },
  code('told', told, 1, [['out']])
]
process.stdout.write(JSON.stringify(flows, null, 1))
