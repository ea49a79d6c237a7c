// Ours: numbers, stamps of header, items and schedule lines, and the refusal of an order without a supplier.
const cds = require('@sap/cds')
const { stamp, effect } = require('./stamp')

module.exports = class extends cds.ApplicationService {
  init() {
    let next = 4500000100
    this.before('CREATE', 'PurchaseOrder', req => {
      const order = req.data
      order.PurchaseOrder ||= String(next++)
      order.CreatedByUser = req.user.id
      order.PurchaseOrderDate ??= new Date().toISOString().slice(0, 10)
      order.CreationDate = new Date().toISOString().slice(0, 10)
      for (const [n, item] of (order._PurchaseOrderItem || []).entries()) {
        item.PurchaseOrder = order.PurchaseOrder
        item.PurchaseOrderItem ||= String((n + 1) * 10).padStart(5, '0')
        item.ItemChangeDateTime = stamp()
        item.PurchaseOrderItemText ||= `Raw material ${item.Material}`
        item.DocumentCurrency ??= order.DocumentCurrency
        item.OrderPriceUnit ??= item.PurchaseOrderQuantityUnit
        for (const [m, line] of (item._PurchaseOrderScheduleLineTP || []).entries()) {
          Object.assign(line, { PurchaseOrder: order.PurchaseOrder, PurchaseOrderItem: item.PurchaseOrderItem, LineChangeDateTime: stamp() })
          line.ScheduleLine ||= String(m + 1).padStart(4, '0')
          line.ScheduleLineOrderQuantity ??= item.OrderQuantity
          line.OpenPurchaseOrderQuantity ??= line.ScheduleLineOrderQuantity
        }
      }
      if (!order.Supplier) req.reject({ status: 400, code: 'ME/083', message: 'Enter supplier', target: 'Supplier' })
    })
    this.before('UPDATE', 'PurchaseOrderItem', req => {
      req.data.ItemChangeDateTime = stamp()
      if (req.data.OrderQuantity > 9000000) req.reject({ status: 400, code: 'ME/621', message: 'Quantity is too large', target: 'OrderQuantity' })
    })
    this.before('UPDATE', 'PurchaseOrderScheduleLine', req => {
      req.data.LineChangeDateTime = stamp()
      if (req.data.ScheduleLineDeliveryDate > '2090') req.reject({ status: 400, code: '06/245', message: 'Delivery date is too far ahead', target: 'ScheduleLineDeliveryDate' })
    })
    this.after(['CREATE', 'UPDATE'], '*', (data, req) => effect(req, `${req.event} ${req.target.name.split('.').pop()}`, data.PurchaseOrder))
    return super.init()
  }
}
