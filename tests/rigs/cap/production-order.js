// Ours: what S/4HANA does and CAP cannot know. The flags of the function imports, their messages, two refusals.
const cds = require('@sap/cds')
const { stamp, effect } = require('./stamp')

module.exports = class extends cds.ApplicationService {
  init() {
    const { A_ProductionOrder_2 } = this.entities
    let next = 1000100
    this.before('CREATE', A_ProductionOrder_2, req => {
      req.data.ManufacturingOrder ||= String(next++)
      if (!req.data.Material) req.reject({ status: 400, code: 'CO/017', message: 'Material is mandatory', target: 'Material' })
      req.data.LastChangeDateTime = stamp()
    })
    this.before('UPDATE', A_ProductionOrder_2, async req => {
      const before = await SELECT.one.from(A_ProductionOrder_2).where({ ManufacturingOrder: req.params.at(-1).ManufacturingOrder ?? req.params.at(-1) })
      if (before?.OrderIsLocked) req.reject({ status: 400, code: 'CO/469', message: `Order ${before.ManufacturingOrder} is being processed by SMITH` })
      req.data.LastChangeDateTime = stamp()
      if (req.data.MfgOrderPlannedEndDate > '2099') req.warn({ code: 'CO/123', message: 'Finish lies outside the calendar' })
    })
    this.after(['CREATE', 'UPDATE'], A_ProductionOrder_2, (data, req) => effect(req, req.event, data.ManufacturingOrder))
    const flag = (name, refuse) => async req => {
      const { ManufacturingOrder } = req.data
      const order = await SELECT.one.from(A_ProductionOrder_2).where({ ManufacturingOrder })
      if (!order) return req.reject({ status: 404, code: 'CO/001', message: `Order ${ManufacturingOrder} does not exist` })
      const no = refuse(order)
      if (no) return req.reject({ status: 400, code: no[0], message: no[1] })
      await UPDATE(A_ProductionOrder_2).set({ [name]: 'X', LastChangeDateTime: stamp() }).where({ ManufacturingOrder })
      effect(req, req.event, ManufacturingOrder)
      req.info({ code: 'CO/100', message: `Order number ${ManufacturingOrder} saved`, target: 'ManufacturingOrder' })
      return { SystemMessageType: 'S', SystemMessageIdentification: 'CO', SystemMessageNumber: '100', SystemMessageLongText: `Order number ${ManufacturingOrder} saved`, SystemMessageVariable1: ManufacturingOrder }
    }
    this.on('ReleaseOrder', flag('OrderIsReleased', o => o.OrderIsReleased && ['CO/459', `Order ${o.ManufacturingOrder} is already released`]))
    this.on('TechlyCmpltOrder', flag('OrderIsTechnicallyCompleted', o => !o.OrderIsReleased && ['CO/460', `Order ${o.ManufacturingOrder} is not released`]))
    for (const name of ['CloseOrder', 'DiscardOrder']) this.on(name, flag('OrderIsClosed', () => null))
    for (const name of ['DeletionFlagOrder', 'DeletionIndOrder']) this.on(name, flag('OrderIsMarkedForDeletion', () => null))
    this.on('OrderReleasedByMES', flag('OrderIsReleased', () => null))
    return super.init()
  }
}
