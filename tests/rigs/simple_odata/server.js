// Serves one set by simple-odata-server, a server of OData V4 that knows nothing of SAP. Ours is the model.
const http = require('http')
const fs = require('fs')
const Datastore = require('nedb')
const ODataServer = require('simple-odata-server')
const adapter = require('simple-odata-server-nedb')

const db = new Datastore({ inMemoryOnly: true })
const model = {
  namespace: 'rig',
  entityTypes: {
    Order: {
      _id: { type: 'Edm.String', key: true },
      Name: { type: 'Edm.String' },
      Quantity: { type: 'Edm.Int32' },
      Open: { type: 'Edm.Boolean' },
    },
  },
  entitySets: { orders: { entityType: 'rig.Order' } },
}
let served
const listening = http.createServer((req, res) => served.handle(req, res)).listen(0, '127.0.0.1', () => {
  const { port } = listening.address()
  served = ODataServer(`http://127.0.0.1:${port}/odata`).model(model).adapter(adapter((_, done) => done(null, db)))
  fs.writeFileSync(process.env.READY, JSON.stringify({ port, pid: process.pid }))
})
