use serde_json::json;

use super::blueprint::{Blueprint, NetworkPlan};
use super::document::{Template, attribute, reference, tags};
use super::ids;
use super::zones::Zone;
use crate::profile::schema::Nat;

/// Where everything is that is not nearer.
const ANYWHERE: &str = "0.0.0.0/0";
/// By these tags EKS and the load balancer controllers find the subnets for load balancers.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html>
const FOR_PUBLIC_BALANCERS: &str = "kubernetes.io/role/elb";
const FOR_INTERNAL_BALANCERS: &str = "kubernetes.io/role/internal-elb";

/// Adds the network `plan`.
pub fn add(template: &mut Template, blueprint: &Blueprint, plan: &NetworkPlan) {
    let name = blueprint.names.stack();
    let named = |name: String| tags(&blueprint.tags_of(name));
    template.resource(
        ids::VPC,
        "AWS::EC2::VPC",
        json!({
            "CidrBlock": plan.addresses.to_string(),
            "EnableDnsSupport": true,
            "EnableDnsHostnames": true,
            "Tags": named(name.clone()),
        }),
    );
    let gateway = json!({"Tags": named(name.clone())});
    template.resource(ids::INTERNET_GATEWAY, "AWS::EC2::InternetGateway", gateway);
    template.resource(
        ids::ATTACHMENT,
        "AWS::EC2::VPCGatewayAttachment",
        json!({"VpcId": reference(ids::VPC), "InternetGatewayId": reference(ids::INTERNET_GATEWAY)}),
    );
    let table = json!({"VpcId": reference(ids::VPC), "Tags": named(format!("{name}-public"))});
    template.resource(ids::PUBLIC_ROUTE_TABLE, "AWS::EC2::RouteTable", table);
    let route = blueprint.renewed.id(ids::PUBLIC_ROUTE);
    template.resource(
        &route,
        "AWS::EC2::Route",
        json!({
            "RouteTableId": reference(ids::PUBLIC_ROUTE_TABLE),
            "DestinationCidrBlock": ANYWHERE,
            "GatewayId": reference(ids::INTERNET_GATEWAY),
        }),
    );
    template.behind(&route, ids::ATTACHMENT);
    for zone in &plan.zones {
        add_zone(template, blueprint, plan, zone);
    }
    add_s3_endpoint(template, blueprint, plan);
}

/// Adds the two subnets of `zone`, their routes, and a gateway where it has one.
fn add_zone(template: &mut Template, blueprint: &Blueprint, plan: &NetworkPlan, zone: &Zone) {
    let names = &blueprint.names;
    let id = |kind: &str| blueprint.renewed.id(&ids::in_zone(kind, names, &zone.name));
    let end = zone.name.strip_prefix(names.region()).unwrap_or(&zone.name);
    let named = |kind: &str| blueprint.tags_of(format!("{}-{kind}-{end}", names.stack()));
    let (private, public) = (ids::private_subnet(names, &zone.name), ids::public_subnet(names, &zone.name));
    for (subnet, kind, role, cidr, is_public) in [
        (&private, "private", FOR_INTERNAL_BALANCERS, plan.addresses.private(zone.slot), false),
        (&public, "public", FOR_PUBLIC_BALANCERS, plan.addresses.public(zone.slot), true),
    ] {
        let mut tagged = named(kind);
        tagged.insert(role.to_string(), "1".to_string());
        template.resource(
            subnet,
            "AWS::EC2::Subnet",
            json!({
                "VpcId": reference(ids::VPC),
                "AvailabilityZone": zone.name,
                "CidrBlock": cidr,
                "MapPublicIpOnLaunch": is_public,
                "Tags": tags(&tagged),
            }),
        );
    }
    // A table for each zone, also where all lead to the same gateway: from one gateway to many, only the routes change.
    let table = id("PrivateRouteTable");
    let properties = json!({"VpcId": reference(ids::VPC), "Tags": tags(&named("private"))});
    template.resource(&table, "AWS::EC2::RouteTable", properties);
    for (kind, subnet, table) in [
        ("PrivateRouteTableAssociation", &private, table.as_str()),
        ("PublicRouteTableAssociation", &public, ids::PUBLIC_ROUTE_TABLE),
    ] {
        template.resource(
            id(kind),
            "AWS::EC2::SubnetRouteTableAssociation",
            json!({"SubnetId": reference(subnet), "RouteTableId": reference(table)}),
        );
    }
    let Some(gateway) = gateway_of(plan, zone) else { return };
    template.resource(
        id("PrivateRoute"),
        "AWS::EC2::Route",
        json!({
            "RouteTableId": reference(&table),
            "DestinationCidrBlock": ANYWHERE,
            "NatGatewayId": reference(&blueprint.renewed.id(&ids::in_zone("NatGateway", names, &gateway.name))),
        }),
    );
    if gateway == zone {
        let (address, gateway) = (id("NatAddress"), id("NatGateway"));
        let properties = json!({"Domain": "vpc", "Tags": tags(&named("nat"))});
        template.resource(&address, "AWS::EC2::EIP", properties);
        template.behind(&address, ids::ATTACHMENT);
        template.resource(
            &gateway,
            "AWS::EC2::NatGateway",
            json!({
                "SubnetId": reference(&public),
                "AllocationId": attribute(&address, "AllocationId"),
                "Tags": tags(&named("nat")),
            }),
        );
        template.behind(&gateway, &blueprint.renewed.id(ids::PUBLIC_ROUTE));
    }
}

/// The zone whose gateway `zone` uses.
fn gateway_of<'a>(plan: &'a NetworkPlan, zone: &'a Zone) -> Option<&'a Zone> {
    match plan.nat {
        Nat::None => None,
        Nat::Single => plan.zones.first(),
        Nat::PerZone => Some(zone),
    }
}

/// Layers of images come from S3: this way is free, the one through a gateway is not.
fn add_s3_endpoint(template: &mut Template, blueprint: &Blueprint, plan: &NetworkPlan) {
    let names = &blueprint.names;
    let private = plan.zones.iter().map(|zone| ids::in_zone("PrivateRouteTable", names, &zone.name));
    let tables: Vec<_> =
        private.chain([ids::PUBLIC_ROUTE_TABLE.to_string()]).map(|table| reference(&table)).collect();
    template.resource(
        ids::S3_ENDPOINT,
        "AWS::EC2::VPCEndpoint",
        json!({
            "VpcId": reference(ids::VPC),
            "VpcEndpointType": "Gateway",
            "ServiceName": format!("com.amazonaws.{}.s3", names.region()),
            "RouteTableIds": tables,
            "Tags": tags(&blueprint.tags_of(format!("{}-s3", names.stack()))),
        }),
    );
}
