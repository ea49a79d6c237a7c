using { cs.rig as db } from './schema';

type FunctionMessage {
  SystemMessageType : String(1);
  SystemMessageIdentification : String(20);
  SystemMessageNumber : String(3);
  SystemMessageLongText : String(220);
  SystemMessageVariable1 : String(50);
}

// V2, as API_PRODUCTION_ORDER_2_SRV
@path: 'API_PRODUCTION_ORDER_2_SRV' @impl: 'production-order.js' @requires: 'authenticated-user'
service API_PRODUCTION_ORDER_2_SRV {
  @Capabilities.DeleteRestrictions.Deletable: false
  @restrict: [{ grant: 'READ' }, { grant: ['UPDATE'], to: 'ProductionOrder.Change' }, { grant: ['CREATE'], to: 'Everything' }]
  @cds.query.limit.max: 3
  entity A_ProductionOrder_2 as projection on db.ProductionOrder;
  @restrict: [{ grant: 'READ' }, { grant: ['CREATE', 'UPDATE'], to: 'Everything' }]
  entity A_ProductionOrderComponent_4 as projection on db.ProductionOrderComponent;
  @requires: 'ProductionOrder.Release'
  action ReleaseOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action TechlyCmpltOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action CloseOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action DeletionFlagOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action DeletionIndOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action DiscardOrder(ManufacturingOrder : String(12)) returns FunctionMessage;
  @requires: 'Everything'
  action OrderReleasedByMES(ManufacturingOrder : String(12)) returns FunctionMessage;
}

// V4, as the purchase order service of S/4HANA
@path: '/sap/opu/odata4/sap/api_purchaseorder_2/srvd_a2x/sap/purchaseorder/0001' @impl: 'purchase-order.js'
@requires: 'authenticated-user'
service api_purchaseorder_2 {
  @restrict: [{ grant: 'READ' }, { grant: ['CREATE'], to: 'PurchaseOrder.Create' }, { grant: ['UPDATE'], to: 'Everything' }]
  @cds.query.limit.max: 2
  entity PurchaseOrder as projection on db.PurchaseOrder;
  @restrict: [{ grant: 'READ' }, { grant: ['UPDATE'], to: 'PurchaseOrder.Change' }, { grant: ['CREATE'], to: 'PurchaseOrder.Create' }]
  entity PurchaseOrderItem as projection on db.PurchaseOrderItem;
  @restrict: [{ grant: 'READ' }, { grant: ['UPDATE'], to: 'PurchaseOrder.Change' }, { grant: ['CREATE'], to: 'PurchaseOrder.Create' }]
  entity PurchaseOrderScheduleLine as projection on db.PurchaseOrderScheduleLine;
}

@path: 'API_BUSINESS_PARTNER' @requires: 'authenticated-user'
service API_BUSINESS_PARTNER {
  @restrict: [{ grant: 'READ' }, { grant: ['CREATE', 'UPDATE'], to: 'Everything' }]
  entity A_Supplier as projection on db.Supplier;
  @readonly entity A_SupplierPurchasingOrg as projection on db.SupplierPurchasingOrg;
}

@path: 'API_INFORECORD_PROCESS_SRV' @requires: 'authenticated-user'
service API_INFORECORD_PROCESS_SRV {
  @readonly entity A_PurchasingInfoRecord as projection on db.PurchasingInfoRecord;
  @readonly entity A_PurgInfoRecdOrgPlantData as projection on db.PurgInfoRecdOrgPlantData;
}

// Not SAP's: the same entity by both versions of the protocol, and one set without an ETag.
@path: 'RIG_V2' @requires: 'authenticated-user'
service RIG_V2 {
  @cds.query.limit.max: 2
  entity Samples as projection on db.Sample;
}
@path: '/rig/v4' @requires: 'authenticated-user'
service RIG_V4 {
  @cds.query.limit.max: 2
  entity Samples as projection on db.Sample;
}
