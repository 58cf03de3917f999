//! Embeds and components within Discord's limits, wherever the bot sends them.

use super::interactions::{answer, hook, used, with_commands};
use super::*;

/// A row of these.
pub(super) fn row(components: impl IntoIterator<Item = Value>) -> Value {
    json!({ "type": 1, "components": components.into_iter().collect::<Value>() })
}

pub(super) fn button(custom_id: &str) -> Value {
    json!({ "type": 2, "style": 1, "label": "Press", "custom_id": custom_id })
}

pub(super) fn menu(options: usize) -> Value {
    let options = (0..options).map(|n| json!({ "label": format!("Option {n}"), "value": n.to_string() }));
    json!({ "type": 3, "custom_id": "menu", "options": options.collect::<Value>() })
}

#[tokio::test]
async fn embeds_and_components_keep_to_discords_limits() {
    let local = with_commands(|_| ()).await;
    let general = local.channel("general");
    let embeds = |embeds: Value| json!({ "embeds": embeds });
    let components = |rows: Value| json!({ "content": "x", "components": rows });
    let one = |component: Value| components(json!([row([component])]));
    let changed = |mut component: Value, key: &str, value: Value| {
        component[key] = value;
        component
    };
    let field = json!({ "name": "n", "value": "v".repeat(1025) });
    let double =
        changed(menu(2), "options", json!([{ "label": "a", "value": "x" }, { "label": "b", "value": "x" }]));
    let inner = "components.0.components";
    let table = [
        (
            embeds((0..11).map(|_| json!({ "title": "t" })).collect()),
            "embeds".to_owned(),
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            embeds((0..2).map(|_| json!({ "description": "d".repeat(3001) })).collect()),
            "embeds".to_owned(),
            "MAX_EMBED_SIZE_EXCEEDED",
        ),
        (embeds(json!([{ "title": "t".repeat(257) }])), "embeds.0.title".to_owned(), "BASE_TYPE_MAX_LENGTH"),
        (
            embeds(json!([{ "fields": [field] }])),
            "embeds.0.fields.0.value".to_owned(),
            "BASE_TYPE_BAD_LENGTH",
        ),
        (
            components((0..6).map(|n| row([button(&n.to_string())])).collect()),
            "components".to_owned(),
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            components(json!([row((0..6).map(|n| button(&n.to_string())))])),
            inner.to_owned(),
            "BASE_TYPE_BAD_LENGTH",
        ),
        (components(json!([row([])])), inner.to_owned(), "BASE_TYPE_BAD_LENGTH"),
        (components(json!([button("x")])), "components.0.type".to_owned(), "BASE_TYPE_CHOICES"),
        (
            components(json!([row([button("x")]), row([button("x")])])),
            "components.1.components.0.custom_id".to_owned(),
            "COMPONENT_CUSTOM_ID_DUPLICATED",
        ),
        (
            components(json!([row([button("x"), menu(1)])])),
            format!("{inner}.1"),
            "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
        ),
        (one(button("")), format!("{inner}.0.custom_id"), "BASE_TYPE_BAD_LENGTH"),
        (one(button(&"x".repeat(101))), format!("{inner}.0.custom_id"), "BASE_TYPE_BAD_LENGTH"),
        (
            one(changed(button("x"), "label", "l".repeat(81).into())),
            format!("{inner}.0.label"),
            "BASE_TYPE_MAX_LENGTH",
        ),
        (one(changed(button("x"), "label", Value::Null)), format!("{inner}.0.label"), "BASE_TYPE_REQUIRED"),
        (one(changed(button("x"), "style", 9.into())), format!("{inner}.0.style"), "BASE_TYPE_CHOICES"),
        (one(menu(26)), format!("{inner}.0.options"), "BASE_TYPE_BAD_LENGTH"),
        (one(menu(0)), format!("{inner}.0.options"), "BASE_TYPE_BAD_LENGTH"),
        (one(double), format!("{inner}.0.options.1.value"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"),
        (
            one(changed(menu(2), "max_values", 3.into())),
            format!("{inner}.0.max_values"),
            "BASE_TYPE_BAD_LENGTH",
        ),
    ];
    let message = id(&post(&local, general, json!({ "content": "mine" })).await.1);
    let path = format!("/channels/{general}/messages/{message}");
    let interaction = used(&local, "help");
    for (body, at, code) in table {
        assert_eq!(mistake(&post(&local, general, body.clone()).await, &at), code, "{body}");
        assert_eq!(
            mistake(&call(&local, Method::PATCH, &path, body.clone()).await, &at),
            code,
            "edit: {body}"
        );
        let refused = answer(&local, interaction, json!({ "type": 4, "data": body })).await;
        assert_eq!(mistake(&refused, &format!("data.{at}")), code, "callback: {body}");
    }
    let long = json!({ "type": 4, "data": { "content": "x".repeat(2001) } });
    assert_eq!(mistake(&answer(&local, interaction, long).await, "data.content"), "BASE_TYPE_MAX_LENGTH");
    let full = json!({
        "embeds": (0..10).map(|_| json!({ "description": "d".repeat(600) })).collect::<Value>(),
        "components": (0..5).map(|row_no| {
            row((0..5).map(|n| button(&format!("{row_no}{n}"))))
        }).collect::<Value>(),
    });
    assert_eq!(post(&local, general, full.clone()).await.0, 200);
    assert_eq!(answer(&local, interaction, json!({ "type": 4, "data": full })).await.0, 204);
    let follow_up = hook(&local, interaction, Method::POST, "", json!({ "content": "x".repeat(2001) })).await;
    assert_eq!(mistake(&follow_up, "content"), "BASE_TYPE_MAX_LENGTH");
    assert_eq!(post(&local, general, components(json!([row([menu(25)])]))).await.0, 200);
}
