// Entities, fields and lengths are named as in SAP S/4HANA's public APIs; a subset, written for these tests.
// ETags: as long as they need to be for two changes within one second, where SAP's are timestamps.
namespace cs.rig;

entity ProductionOrder {
  key ManufacturingOrder : String(12);
  ManufacturingOrderType : String(4) default 'YP01';
  OrderIsCreated : String(1) default 'X';
  OrderIsReleased : String(1) default '';
  OrderIsPartiallyReleased : String(1) default '';
  OrderIsConfirmed : String(1) default '';
  OrderIsPartiallyConfirmed : String(1) default '';
  OrderIsDelivered : String(1) default '';
  OrderIsTechnicallyCompleted : String(1) default '';
  OrderIsClosed : String(1) default '';
  OrderIsLocked : String(1) default '';
  OrderIsMarkedForDeletion : String(1) default '';
  MaterialAvailyIsNotChecked : String(1) default '';
  @odata.etag LastChangeDateTime : String(24);
  Material : String(40);
  ProductionPlant : String(4) default '1010';
  MfgOrderPlannedStartDate : Date;
  MfgOrderPlannedStartTime : Time default '06:00:00';
  MfgOrderPlannedEndDate : Date;
  MfgOrderPlannedEndTime : Time default '14:00:00';
  ProductionUnit : String(3) default 'PC';
  TotalQuantity : Decimal(13,3);
  MfgOrderConfirmedYieldQty : Decimal(13,3) default 0;
  to_ProductionOrderComponent : Composition of many ProductionOrderComponent
    on to_ProductionOrderComponent.ManufacturingOrder = $self.ManufacturingOrder;
}
entity ProductionOrderComponent {
  key Reservation : String(10);
  key ReservationItem : String(4);
  ManufacturingOrder : String(12);
  Material : String(40);
  BaseUnit : String(3);
  RequiredQuantity : Decimal(13,3);
  ConfirmedAvailableQuantity : Decimal(15,3);
}
entity PurchaseOrder {
  key PurchaseOrder : String(10);
  PurchaseOrderType : String(4) default 'NB';
  CompanyCode : String(4);
  PurchasingOrganization : String(4);
  PurchasingGroup : String(3);
  Supplier : String(10);
  DocumentCurrency : String(5);
  PurchaseOrderDate : Date;
  CreationDate : Date;
  @Core.Computed CreatedByUser : String(40);
  CorrespncExternalReference : String(12);
  PurchaseOrderDeletionCode : String(1) default '';
  ReleaseIsNotCompleted : Boolean default true;
  @odata.etag LastChangeDateTime : Timestamp @cds.on.insert: $now @cds.on.update: $now;
  _PurchaseOrderItem : Composition of many PurchaseOrderItem
    on _PurchaseOrderItem.PurchaseOrder = $self.PurchaseOrder;
}
entity PurchaseOrderItem {
  key PurchaseOrder : String(10);
  key PurchaseOrderItem : String(5);
  Material : String(40);
  Plant : String(4);
  PurchaseOrderItemText : String(40);
  OrderQuantity : Decimal(13,3);
  PurchaseOrderQuantityUnit : String(3);
  OrderPriceUnit : String(3);
  NetPriceAmount : Decimal(13,2);
  NetPriceQuantity : Decimal(5,0) default 1;
  DocumentCurrency : String(5);
  PurchasingDocumentDeletionCode : String(1) default '';
  IsCompletelyDelivered : Boolean default false;
  @odata.etag @Core.Computed ItemChangeDateTime : String(24);
  _PurchaseOrder : Association to PurchaseOrder on _PurchaseOrder.PurchaseOrder = $self.PurchaseOrder;
  _PurchaseOrderScheduleLineTP : Composition of many PurchaseOrderScheduleLine
    on _PurchaseOrderScheduleLineTP.PurchaseOrder = $self.PurchaseOrder
    and _PurchaseOrderScheduleLineTP.PurchaseOrderItem = $self.PurchaseOrderItem;
}
entity PurchaseOrderScheduleLine {
  key PurchaseOrder : String(10);
  key PurchaseOrderItem : String(5);
  key ScheduleLine : String(4);
  ScheduleLineDeliveryDate : Date;
  ScheduleLineOrderQuantity : Decimal(13,3);
  OpenPurchaseOrderQuantity : Decimal(14,3);
  @odata.etag @Core.Computed LineChangeDateTime : String(24);
}
entity Supplier {
  key Supplier : String(10);
  SupplierName : String(80);
  SupplierCorporateGroup : String(10);
  PurchasingIsBlocked : Boolean default false;
  DeletionIndicator : Boolean default false;
  to_SupplierPurchasingOrg : Composition of many SupplierPurchasingOrg
    on to_SupplierPurchasingOrg.Supplier = $self.Supplier;
}
entity SupplierPurchasingOrg {
  key Supplier : String(10);
  key PurchasingOrganization : String(4);
  PurchaseOrderCurrency : String(5);
  PurchasingIsBlockedForSupplier : Boolean default false;
  DeletionIndicator : Boolean default false;
}
entity PurchasingInfoRecord {
  key PurchasingInfoRecord : String(10);
  Supplier : String(10);
  Material : String(40);
  IsDeleted : Boolean default false;
  PurgDocOrderQuantityUnit : String(3);
  to_PurgInfoRecdOrgPlantData : Composition of many PurgInfoRecdOrgPlantData
    on to_PurgInfoRecdOrgPlantData.PurchasingInfoRecord = $self.PurchasingInfoRecord;
}
entity PurgInfoRecdOrgPlantData {
  key PurchasingInfoRecord : String(10);
  key PurchasingInfoRecordCategory : String(1) default '0';
  key PurchasingOrganization : String(4);
  key Plant : String(4);
  Currency : String(5);
  NetPriceAmount : Decimal(13,2);
  MaterialPriceUnitQty : Decimal(5,0) default 1;
  PurchaseOrderPriceUnit : String(3);
  MinimumPurchaseOrderQuantity : Decimal(13,3) default 0;
  StandardPurchaseOrderQuantity : Decimal(13,3) default 0;
  MaterialPlannedDeliveryDurn : Decimal(3,0) default 0;
  IsMarkedForDeletion : Boolean default false;
}
// Not SAP's: one of every type OData has, for the protocol client.
entity Sample {
  key Code : String(8);
  key Number : Integer64;
  key Exactly : Decimal(9,2);
  key Day : Date;
  key Flag : Boolean;
  key Id : UUID;
  Small : Integer;
  Clock : Time;
  Moment : Timestamp;
  Instant : DateTime;
  Ratio : Double;
  Bytes : Binary(16);
  Text : String(20);
  @Core.Computed Total : Decimal(9,2);
  @Core.Immutable Origin : String(5);
}
