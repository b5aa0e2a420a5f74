//! Columns of the tables. Timestamps stay text: an empty one means "not yet".

use crate::schema::{boolean, double, long, record, records, string};
use lakeflow_core::{Column, TableSchema};

/// Orders that a campaign led to.
fn ecommerce() -> Vec<Column> {
    vec![long("total_orders"), double("total_spent"), double("total_revenue")]
}

/// How far the sending of a campaign is.
fn delivery_status() -> Vec<Column> {
    vec![
        boolean("enabled"),
        boolean("can_cancel"),
        string("status"),
        long("emails_sent"),
        long("emails_canceled"),
    ]
}

pub(super) fn campaigns() -> TableSchema {
    TableSchema::new(vec![
        string("id").required(),
        long("web_id"),
        string("type"),
        string("create_time"),
        string("send_time"),
        string("status"),
        long("emails_sent"),
        string("archive_url"),
        string("content_type"),
        record(
            "recipients",
            vec![
                string("list_id"),
                boolean("list_is_active"),
                string("list_name"),
                string("segment_text"),
                long("recipient_count"),
            ],
        ),
        record(
            "settings",
            vec![
                string("subject_line"),
                string("preview_text"),
                string("title"),
                string("from_name"),
                string("reply_to"),
                boolean("use_conversation"),
                string("to_name"),
                string("folder_id"),
                boolean("authenticate"),
                boolean("auto_footer"),
                boolean("inline_css"),
                boolean("auto_tweet"),
                boolean("fb_comments"),
                long("template_id"),
                boolean("drag_and_drop"),
            ],
        ),
        record(
            "tracking",
            vec![
                boolean("opens"),
                boolean("html_clicks"),
                boolean("text_clicks"),
                boolean("goal_tracking"),
                boolean("ecomm360"),
                string("google_analytics"),
                string("clicktale"),
            ],
        ),
        record(
            "report_summary",
            vec![
                long("opens"),
                long("unique_opens"),
                double("open_rate"),
                long("clicks"),
                long("subscriber_clicks"),
                double("click_rate"),
                record("ecommerce", ecommerce()),
            ],
        ),
        record("delivery_status", delivery_status()),
    ])
}

pub(super) fn reports() -> TableSchema {
    TableSchema::new(vec![
        string("id").required(),
        string("campaign_title"),
        string("type"),
        string("list_id"),
        boolean("list_is_active"),
        string("list_name"),
        string("subject_line"),
        string("preview_text"),
        long("emails_sent"),
        long("abuse_reports"),
        long("unsubscribed"),
        string("send_time"),
        record("bounces", vec![long("hard_bounces"), long("soft_bounces"), long("syntax_errors")]),
        record("forwards", vec![long("forwards_count"), long("forwards_opens")]),
        record(
            "opens",
            vec![
                long("opens_total"),
                long("unique_opens"),
                double("open_rate"),
                string("last_open"),
            ],
        ),
        record(
            "clicks",
            vec![
                long("clicks_total"),
                long("unique_clicks"),
                long("unique_subscriber_clicks"),
                double("click_rate"),
                string("last_click"),
            ],
        ),
        record(
            "facebook_likes",
            vec![long("recipient_likes"), long("unique_likes"), long("facebook_likes")],
        ),
        record(
            "list_stats",
            vec![
                double("sub_rate"),
                double("unsub_rate"),
                double("open_rate"),
                double("click_rate"),
            ],
        ),
        record("ecommerce", ecommerce()),
        record("delivery_status", delivery_status()),
    ])
}

pub(super) fn lists() -> TableSchema {
    TableSchema::new(vec![
        string("id").required(),
        long("web_id"),
        string("name"),
        record(
            "contact",
            vec![
                string("company"),
                string("address1"),
                string("address2"),
                string("city"),
                string("state"),
                string("zip"),
                string("country"),
                string("phone"),
            ],
        ),
        string("permission_reminder"),
        boolean("use_archive_bar"),
        record(
            "campaign_defaults",
            vec![string("from_name"), string("from_email"), string("subject"), string("language")],
        ),
        string("notify_on_subscribe"),
        string("notify_on_unsubscribe"),
        string("date_created"),
        long("list_rating"),
        boolean("email_type_option"),
        string("subscribe_url_short"),
        string("subscribe_url_long"),
        string("beamer_address"),
        string("visibility"),
        boolean("double_optin"),
        boolean("marketing_permissions"),
        record(
            "stats",
            vec![
                long("member_count"),
                long("unsubscribe_count"),
                long("cleaned_count"),
                long("member_count_since_send"),
                long("unsubscribe_count_since_send"),
                long("cleaned_count_since_send"),
                long("campaign_count"),
                string("campaign_last_sent"),
                long("merge_field_count"),
                double("avg_sub_rate"),
                double("avg_unsub_rate"),
                double("target_sub_rate"),
                double("open_rate"),
                double("click_rate"),
                string("last_sub_date"),
                string("last_unsub_date"),
            ],
        ),
    ])
}

pub(super) fn members() -> TableSchema {
    TableSchema::new(vec![
        string("id").required(),
        string("email_address"),
        string("unique_email_id"),
        string("contact_id"),
        string("full_name"),
        long("web_id"),
        string("email_type"),
        string("status"),
        string("merge_fields"),
        string("interests"),
        record(
            "stats",
            vec![
                double("avg_open_rate"),
                double("avg_click_rate"),
                record(
                    "ecommerce_data",
                    vec![
                        double("total_revenue"),
                        long("number_of_orders"),
                        string("currency_code"),
                    ],
                ),
            ],
        ),
        string("ip_signup"),
        string("timestamp_signup"),
        string("ip_opt"),
        string("timestamp_opt"),
        long("member_rating"),
        string("last_changed"),
        string("language"),
        boolean("vip"),
        string("email_client"),
        record(
            "location",
            vec![
                double("latitude"),
                double("longitude"),
                long("gmtoff"),
                long("dstoff"),
                string("country_code"),
                string("timezone"),
            ],
        ),
        long("tags_count"),
        records("tags", vec![long("id"), string("name")]),
        string("list_id").required(),
    ])
}
