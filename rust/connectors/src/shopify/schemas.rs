//! Columns of the tables. Timestamps stay text, as Shopify writes them; money is decimal text.

use crate::schema::{boolean, double, long, longs, record, records, string, texts};
use lakeflow_core::{Column, TableSchema};

/// An address of a customer or an order.
fn address() -> Vec<Column> {
    vec![
        long("id"),
        long("customer_id"),
        string("first_name"),
        string("last_name"),
        string("name"),
        string("company"),
        string("address1"),
        string("address2"),
        string("city"),
        string("province"),
        string("country"),
        string("zip"),
        string("phone"),
        string("province_code"),
        string("country_code"),
        string("country_name"),
        boolean("default"),
    ]
}

/// Whether a customer agreed to marketing.
fn consent() -> Vec<Column> {
    vec![
        string("state"),
        string("opt_in_level"),
        string("consent_updated_at"),
        string("consent_collected_from"),
    ]
}

/// A picture of a product.
fn image() -> Vec<Column> {
    vec![
        long("id"),
        string("admin_graphql_api_id"),
        long("product_id"),
        long("position"),
        string("created_at"),
        string("updated_at"),
        string("alt"),
        long("width"),
        long("height"),
        string("src"),
        longs("variant_ids"),
    ]
}

/// What was ordered.
fn line_item() -> Vec<Column> {
    vec![
        long("id").required(),
        string("admin_graphql_api_id"),
        long("product_id"),
        long("variant_id"),
        string("title"),
        string("variant_title"),
        string("name"),
        string("sku"),
        string("vendor"),
        long("quantity"),
        long("current_quantity"),
        long("fulfillable_quantity"),
        string("fulfillment_service"),
        string("fulfillment_status"),
        string("price"),
        string("total_discount"),
        boolean("requires_shipping"),
        boolean("taxable"),
        boolean("gift_card"),
        long("grams"),
        string("variant_inventory_management"),
        boolean("product_exists"),
    ]
}

/// A variant of a product.
fn variant() -> Vec<Column> {
    vec![
        long("id").required(),
        string("admin_graphql_api_id"),
        long("product_id"),
        string("title"),
        string("price"),
        long("position"),
        string("inventory_policy"),
        string("compare_at_price"),
        string("option1"),
        string("option2"),
        string("option3"),
        string("created_at"),
        string("updated_at"),
        boolean("taxable"),
        string("barcode"),
        string("fulfillment_service"),
        long("grams"),
        string("inventory_management"),
        boolean("requires_shipping"),
        string("sku"),
        double("weight"),
        string("weight_unit"),
        long("inventory_item_id"),
        long("inventory_quantity"),
        long("image_id"),
    ]
}

pub(super) fn products() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("title"),
        string("body_html"),
        string("vendor"),
        string("product_type"),
        string("created_at"),
        string("updated_at"),
        string("published_at"),
        string("handle"),
        string("template_suffix"),
        string("published_scope"),
        string("tags"),
        string("status"),
        string("admin_graphql_api_id"),
        records("variants", variant()),
        records(
            "options",
            vec![long("id"), long("product_id"), string("name"), long("position"), texts("values")],
        ),
        records("images", image()),
        record("image", image()),
        string("shop").required(),
    ])
}

pub(super) fn customers() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("email"),
        string("first_name"),
        string("last_name"),
        string("phone"),
        string("created_at"),
        string("updated_at"),
        long("orders_count"),
        string("state"),
        string("total_spent"),
        long("last_order_id"),
        string("last_order_name"),
        string("note"),
        boolean("verified_email"),
        string("multipass_identifier"),
        boolean("tax_exempt"),
        string("tags"),
        string("currency"),
        records("addresses", address()),
        record("default_address", address()),
        texts("tax_exemptions"),
        record("email_marketing_consent", consent()),
        record("sms_marketing_consent", consent()),
        string("admin_graphql_api_id"),
        string("shop").required(),
    ])
}

pub(super) fn orders() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("admin_graphql_api_id"),
        string("name"),
        long("number"),
        long("order_number"),
        string("email"),
        string("phone"),
        string("created_at"),
        string("updated_at"),
        string("processed_at"),
        string("closed_at"),
        string("cancelled_at"),
        string("cancel_reason"),
        string("financial_status"),
        string("fulfillment_status"),
        string("currency"),
        string("presentment_currency"),
        string("total_price"),
        string("subtotal_price"),
        string("total_tax"),
        string("total_discounts"),
        string("total_line_items_price"),
        string("total_outstanding"),
        string("total_tip_received"),
        long("total_weight"),
        boolean("taxes_included"),
        boolean("estimated_taxes"),
        boolean("duties_included"),
        boolean("confirmed"),
        boolean("test"),
        boolean("buyer_accepts_marketing"),
        boolean("tax_exempt"),
        string("tags"),
        string("note"),
        string("token"),
        string("cart_token"),
        long("checkout_id"),
        string("checkout_token"),
        string("reference"),
        string("source_identifier"),
        string("source_name"),
        string("source_url"),
        string("landing_site"),
        string("landing_site_ref"),
        string("referring_site"),
        string("browser_ip"),
        string("customer_locale"),
        long("location_id"),
        long("user_id"),
        long("device_id"),
        long("app_id"),
        string("po_number"),
        string("confirmation_number"),
        texts("payment_gateway_names"),
        record(
            "customer",
            vec![
                long("id"),
                string("email"),
                string("first_name"),
                string("last_name"),
                string("state"),
                string("note"),
                boolean("verified_email"),
                string("currency"),
                string("created_at"),
                string("updated_at"),
            ],
        ),
        record("shipping_address", address()),
        record("billing_address", address()),
        records("line_items", line_item()),
        string("shop").required(),
    ])
}

pub(super) fn refunds() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        long("order_id").required(),
        string("created_at"),
        string("processed_at"),
        string("note"),
        long("user_id"),
        boolean("restock"),
        string("admin_graphql_api_id"),
        records(
            "refund_line_items",
            vec![
                long("id").required(),
                long("line_item_id"),
                long("location_id"),
                long("quantity"),
                string("restock_type"),
                double("subtotal"),
                double("total_tax"),
            ],
        ),
        string("shop").required(),
    ])
}

pub(super) fn fulfillments() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        long("order_id").required(),
        string("status"),
        string("shipment_status"),
        string("service"),
        string("created_at"),
        string("updated_at"),
        long("location_id"),
        string("tracking_company"),
        string("tracking_number"),
        texts("tracking_numbers"),
        string("tracking_url"),
        texts("tracking_urls"),
        string("admin_graphql_api_id"),
        records("line_items", line_item()),
        string("shop").required(),
    ])
}

pub(super) fn inventory_levels() -> TableSchema {
    TableSchema::new(vec![
        long("inventory_item_id").required(),
        long("location_id").required(),
        long("available"),
        string("updated_at"),
        string("admin_graphql_api_id"),
        string("shop").required(),
    ])
}

pub(super) fn locations() -> TableSchema {
    TableSchema::new(vec![
        long("id").required(),
        string("name"),
        string("address1"),
        string("address2"),
        string("city"),
        string("zip"),
        string("province"),
        string("country"),
        string("phone"),
        string("created_at"),
        string("updated_at"),
        string("country_code"),
        string("country_name"),
        string("province_code"),
        boolean("legacy"),
        boolean("active"),
        string("admin_graphql_api_id"),
        string("localized_country_name"),
        string("localized_province_name"),
        string("shop").required(),
    ])
}
