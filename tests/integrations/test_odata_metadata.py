"""What `$metadata` says, in both versions and in each of the ways in which it may say it."""
# ruff: noqa: E501 XML reads better with one element a line

from __future__ import annotations

import pytest

from integrations.odata.metadata import V2, V4, parse

OLD = b"""<?xml version="1.0"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
  xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" xmlns:sap="http://www.sap.com/Protocols/SAPData">
<edmx:DataServices m:DataServiceVersion="2.0">
<Schema Namespace="PLANT" Alias="Self" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
  <EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.String" Nullable="false" MaxLength="12" sap:updatable="false"/>
    <Property Name="Start" Type="Edm.DateTime" sap:display-format="Date"/>
    <Property Name="Quantity" Type="Edm.Decimal" Precision="13" Scale="3" sap:creatable="false"/>
    <Property Name="Changed" Type="Edm.String" ConcurrencyMode="Fixed"/>
    <NavigationProperty Name="to_Parts" Relationship="Self.Parts" FromRole="One" ToRole="Many"/>
  </EntityType>
  <EntityType Name="Part"><Key><PropertyRef Name="Id"/><PropertyRef Name="No"/></Key>
    <Property Name="Id" Type="Edm.String"/><Property Name="No" Type="Edm.Int32"/>
    <NavigationProperty Name="to_Order" Relationship="PLANT.Parts" FromRole="Many" ToRole="One"/>
  </EntityType>
  <Association Name="Parts">
    <End Type="Self.Order" Multiplicity="1" Role="One"/><End Type="PLANT.Part" Multiplicity="*" Role="Many"/>
  </Association>
  <EntityContainer Name="C" m:IsDefaultEntityContainer="true">
    <EntitySet Name="Orders" EntityType="PLANT.Order"/>
    <EntitySet Name="Parts" EntityType="Self.Part" sap:updatable="false" sap:creatable="false"/>
    <FunctionImport Name="Release" m:HttpMethod="POST"><Parameter Name="Id" Type="Edm.String" MaxLength="12"/></FunctionImport>
    <FunctionImport Name="Count"/>
  </EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""

NEW = b"""<?xml version="1.0"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:Reference Uri="x"><edmx:Include Namespace="Org.OData.Core.V1" Alias="SAP__core"/></edmx:Reference>
<edmx:DataServices><Schema Namespace="com.plant.v1" Alias="SAP__self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <TypeDefinition Name="Short" UnderlyingType="Edm.String"/>
  <EnumType Name="Colour"><Member Name="Red"/></EnumType>
  <EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.String" Nullable="false"/></EntityType>
  <EntityType Name="Order" BaseType="com.plant.v1.Base">
    <Property Name="Name" Type="com.plant.v1.Short"/>
    <Property Name="Colour" Type="SAP__self.Colour"/>
    <Property Name="Price" Type="Edm.Decimal" Precision="11" Scale="variable"/>
    <Property Name="Total" Type="Edm.Decimal"><Annotation Term="SAP__core.Computed" Bool="true"/></Property>
    <Property Name="Made" Type="Edm.Date"/><Property Name="By" Type="Edm.String"/>
    <NavigationProperty Name="_Items" Type="Collection(com.plant.v1.Item)"/>
    <NavigationProperty Name="_Boss" Type="com.plant.v1.Order"/>
  </EntityType>
  <EntityType Name="Item"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Guid"/></EntityType>
  <Action Name="Confirm" IsBound="true"><Parameter Name="_it" Type="com.plant.v1.Order"/>
    <Parameter Name="Note" Type="Edm.String"/></Action>
  <Action Name="CloseAll"/>
  <EntityContainer Name="Container">
    <EntitySet Name="Order" EntityType="SAP__self.Order"/><EntitySet Name="Item" EntityType="com.plant.v1.Item"/>
    <ActionImport Name="Shut" Action="com.plant.v1.CloseAll"/>
  </EntityContainer>
  <Annotations Target="SAP__self.Order/Made"><Annotation Term="Org.OData.Core.V1.Immutable" Bool="true"/></Annotations>
  <Annotations Target="SAP__self.Container/Order">
    <Annotation Term="SAP__core.OptimisticConcurrency"><Collection/></Annotation>
    <Annotation Term="Org.OData.Capabilities.V1.UpdateRestrictions"><Record>
      <PropertyValue Property="NonUpdatableProperties"><Collection><PropertyPath>By</PropertyPath></Collection></PropertyValue>
    </Record></Annotation>
  </Annotations>
  <Annotations Target="com.plant.v1.Container/Item">
    <Annotation Term="Org.OData.Capabilities.V1.InsertRestrictions"><Record><PropertyValue Property="Insertable" Bool="false"/></Record></Annotation>
  </Annotations>
</Schema></edmx:DataServices></edmx:Edmx>"""


def test_version_2_with_its_attributes() -> None:
    model = parse(OLD)
    assert model.version == V2
    orders, parts = model.sets["Orders"], model.sets["Parts"]
    assert orders.type.keys == ("Id",)
    assert parts.type.keys == ("Id", "No")
    assert (orders.etag, parts.etag) == (True, False)
    assert (orders.updatable, parts.updatable, parts.creatable) == (True, False, False)
    found = orders.type.properties
    assert (found["Id"].max_length, found["Id"].nullable, found["Id"].updatable) == (12, False, False)
    assert found["Start"].date_only
    assert (found["Quantity"].precision, found["Quantity"].scale) == (13, 3)
    assert (found["Quantity"].creatable, found["Quantity"].updatable) == (False, True)
    there, back = orders.type.navigations["to_Parts"], parts.type.navigations["to_Order"]
    assert (there.target, there.many) == ("PLANT.Part", True)
    assert (back.target, back.many) == ("PLANT.Order", False)
    release = model.operations["Release"]
    assert (release.method, release.parameters["Id"].max_length) == ("POST", 12)
    assert model.operations["Count"].method == "GET"


def test_version_4_with_annotations_inside_and_outside_by_namespace_and_by_alias() -> None:
    model = parse(NEW)
    assert model.version == V4
    order, item = model.sets["Order"], model.sets["Item"]
    assert order.type.keys == ("Id",)
    # An empty collection says that an ETag is wanted, and not what it is made of.
    assert (order.etag, item.etag) == (True, False)
    assert (order.creatable, item.creatable) == (True, False)
    found = order.type.properties
    assert found["Name"].type == "Edm.String"
    assert found["Colour"].enumeration
    assert (found["Price"].precision, found["Price"].scale) == (11, None)
    assert (found["Total"].creatable, found["Total"].updatable) == (False, False)
    assert (found["Made"].creatable, found["Made"].updatable) == (True, False)
    assert (found["By"].creatable, found["By"].updatable) == (True, False)
    assert order.type.navigations["_Items"].many
    assert not order.type.navigations["_Boss"].many
    confirm = model.operations["Confirm"]
    assert (confirm.bound, confirm.path, set(confirm.parameters)) == (True, "com.plant.v1.Confirm", {"Note"})
    assert (model.operations["Shut"].name, model.operations["Shut"].path) == ("CloseAll", "Shut")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"not xml", "no XML"),
        (b"<html><body>Sign in</body></html>", "begins with 'html'"),
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Edmx>&e;</Edmx>',
            "no XML that can be read .EntitiesForbidden",
        ),
    ],
)
def test_what_is_no_metadata_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(document)
