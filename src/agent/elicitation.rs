//! What an MCP server asks people for: a form to be filled in, or an address to be opened.
//!
//! The protocol: <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>. All but the server's name was
//! chosen by that server. The CLI passes on flat forms only, with the keys that the protocol has, and any address at all; it
//! takes whatever content comes back (measured with 2.1.330).

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};
use url::Url;

use crate::domain::{MOST_FIELDS, MOST_MENUS, MOST_OPTIONS};

/// The largest whole number that each program that reads JSON reads as it is written.
const LARGEST_WHOLE: u64 = (1 << 53) - 1;

/// What an MCP server wants of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElicitationRequest {
    /// Its name in the settings.
    pub server: String,
    /// What it says about it.
    pub message: String,
    pub wants: Elicited,
}

/// What that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elicited {
    /// An address to be opened by the person, somewhere else.
    Link(ElicitedLink),
    /// A form: at most as many entries as fit one message and one form.
    Form(Vec<FormEntry>),
}

/// An address, in ASCII and as a browser reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElicitedLink {
    /// The whole of it: `http` or `https`.
    pub address: String,
    /// Whom it leads to.
    pub host: String,
}

/// One value that a form asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormEntry {
    /// How the server calls it.
    pub name: String,
    /// What people see in place of that.
    pub title: Option<String>,
    pub description: Option<String>,
    pub required: bool,
    pub kind: EntryKind,
}

/// What such a value has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A text of `least` to `most` characters.
    Text {
        format: Option<TextFormat>,
        least: Option<u64>,
        most: Option<u64>,
        default: Option<String>,
    },
    Number {
        whole: bool,
        least: Option<Number>,
        most: Option<Number>,
        default: Option<Number>,
    },
    /// One of the options, or `least` to `most` of them. `chosen`: which are, until somebody chooses.
    Choice {
        options: Vec<EntryOption>,
        several: bool,
        least: usize,
        most: usize,
        chosen: Vec<usize>,
    },
}

/// The formats of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    Email,
    Uri,
    Date,
    DateTime,
}

/// One of the values that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryOption {
    /// What the server gets.
    pub value: Value,
    pub label: String,
}

/// Why what somebody gave does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryMistake {
    Missing,
    /// It is not [`EntryKind::wanted`].
    Unfit,
}

impl ElicitationRequest {
    /// Reads the CLI's request; `None` where it cannot be put to a person.
    pub fn read(body: &Value) -> Option<Self> {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let wants = match &body["mode"] {
            Value::String(mode) if mode == "url" => Elicited::Link(ElicitedLink::read(text("url"))?),
            Value::String(mode) if mode != "form" => return None,
            _ => Elicited::Form(entries(&body["requested_schema"], &body["property_order"])?),
        };
        Some(Self { server: text("mcp_server_name").to_owned(), message: text("message").to_owned(), wants })
    }

    /// Takes secrets out of all that becomes a label: half of one, cut to fit, would not be known any more. What the server gets
    /// stays as it is.
    pub fn redact_labels(&mut self, redact: impl Fn(&str) -> String) {
        self.server = redact(&self.server);
        let Elicited::Form(entries) = &mut self.wants else { return };
        for entry in entries {
            let title = redact(entry.title());
            if title != entry.title() {
                entry.title = Some(title);
            }
            entry.description = entry.description.as_deref().map(&redact);
            match &mut entry.kind {
                // Nobody should send what they cannot see.
                EntryKind::Text { default, .. } => drop(default.take_if(|text| redact(text) != *text)),
                EntryKind::Choice { options, .. } => {
                    options.iter_mut().for_each(|option| option.label = redact(&option.label));
                }
                EntryKind::Number { .. } => {}
            }
        }
    }
}

impl ElicitedLink {
    fn read(address: &str) -> Option<Self> {
        // A browser leaves them out, and so what is seen would not be what is opened.
        if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // The only sign in it that acts in a line of code.
        let address = url.as_str().replace('`', "%60");
        Some(Self { address, host: url.host_str()?.to_owned() })
    }
}

/// The entries of a form, in the server's order.
fn entries(schema: &Value, order: &Value) -> Option<Vec<FormEntry>> {
    let (none, nothing) = (Map::new(), Vec::new());
    let properties = match &schema["properties"] {
        Value::Object(properties) => properties,
        Value::Null => &none,
        _ => return None,
    };
    let required: Vec<&str> = match &schema["required"] {
        Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null => Vec::new(),
        _ => return None,
    };
    // Nobody could give what has no entry.
    if required.iter().any(|name| !properties.contains_key(*name)) {
        return None;
    }
    let told = order.as_array().unwrap_or(&nothing).iter().filter_map(Value::as_str);
    let mut seen = BTreeSet::new();
    let names = told.chain(properties.keys().map(String::as_str)).filter(|name| seen.insert(*name));
    let entry = |name: &str| FormEntry::read(name, properties.get(name)?, required.contains(&name));
    let entries: Vec<FormEntry> =
        names.filter(|name| properties.contains_key(*name)).map(entry).collect::<Option<_>>()?;
    let menus = entries.iter().filter(|entry| entry.is_choice()).count();
    let fits = menus <= MOST_MENUS && entries.len() - menus <= MOST_FIELDS;
    fits.then_some(entries)
}

impl FormEntry {
    fn read(name: &str, schema: &Value, required: bool) -> Option<Self> {
        let text = |key: &str| schema[key].as_str().map(str::to_owned).filter(|text| !text.trim().is_empty());
        let kind = EntryKind::read(schema)?;
        let entry = Self {
            name: name.to_owned(),
            title: text("title"),
            description: text("description"),
            required,
            kind,
        };
        entry.fits_a_menu().then_some(entry)
    }

    /// What people see as its name.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    pub fn is_choice(&self) -> bool {
        matches!(self.kind, EntryKind::Choice { .. })
    }

    /// What can be left out has an option for that, too.
    fn fits_a_menu(&self) -> bool {
        match &self.kind {
            EntryKind::Choice { options, .. } => {
                !options.is_empty() && options.len() + usize::from(!self.required) <= MOST_OPTIONS
            }
            EntryKind::Text { .. } | EntryKind::Number { .. } => true,
        }
    }

    /// The value of a text that somebody has typed; `None` where it is left out.
    ///
    /// # Errors
    /// If it does not do.
    pub fn typed(&self, typed: &str) -> Result<Option<Value>, EntryMistake> {
        let trimmed = typed.trim();
        if trimmed.is_empty() {
            return if self.required { Err(EntryMistake::Missing) } else { Ok(None) };
        }
        let value = match &self.kind {
            EntryKind::Text { format: None, least, most, .. } => {
                fits_length(typed, *least, *most).then(|| typed.into())
            }
            EntryKind::Text { format: Some(format), least, most, .. } => {
                (format.takes(trimmed) && fits_length(trimmed, *least, *most)).then(|| trimmed.into())
            }
            EntryKind::Number { whole, least, most, .. } => {
                number(trimmed, *whole).filter(|number| is_within(number, least, most)).map(Value::Number)
            }
            EntryKind::Choice { .. } => None,
        };
        value.map(Some).ok_or(EntryMistake::Unfit)
    }

    /// The value of what somebody has chosen, or has left as it was; `None` where it is left out.
    ///
    /// # Errors
    /// If it does not do.
    pub fn chosen(&self, picked: Option<&Vec<usize>>) -> Result<Option<Value>, EntryMistake> {
        let EntryKind::Choice { options, several, least, most, chosen } = &self.kind else {
            return Err(EntryMistake::Unfit);
        };
        let picked = picked.unwrap_or(chosen).iter().filter_map(|number| options.get(*number));
        let mut values: Vec<Value> = picked.map(|option| option.value.clone()).collect();
        match (values.len(), several) {
            (0, _) if self.required => Err(EntryMistake::Missing),
            (0, _) => Ok(None),
            (count, true) if (*least..=*most).contains(&count) => Ok(Some(Value::Array(values))),
            (1, false) => Ok(values.pop()),
            _ => Err(EntryMistake::Unfit),
        }
    }
}

impl EntryKind {
    fn read(schema: &Value) -> Option<Self> {
        let size = |key: &str| schema[key].as_u64();
        let number = |key: &str| schema[key].as_number().cloned();
        Some(match schema["type"].as_str()? {
            "string" => {
                let named = || schema["oneOf"].as_array().map(|all| all.iter().map(titled).collect());
                let listed = || schema["enum"].as_array().map(|all| listed(all, &schema["enumNames"]));
                match named().or_else(listed) {
                    Some(options) => Self::one_of(options?, &schema["default"]),
                    None => Self::Text {
                        format: schema["format"].as_str().and_then(TextFormat::read),
                        least: size("minLength"),
                        most: size("maxLength"),
                        default: schema["default"].as_str().map(str::to_owned),
                    },
                }
            }
            kind @ ("number" | "integer") => Self::Number {
                whole: kind == "integer",
                least: number("minimum"),
                most: number("maximum"),
                default: number("default"),
            },
            "boolean" => {
                let option = |(value, label): (bool, &str)| EntryOption {
                    value: value.into(),
                    label: label.to_owned(),
                };
                Self::one_of([(true, "yes"), (false, "no")].map(option).into(), &schema["default"])
            }
            "array" => {
                let items = &schema["items"];
                let named = || items["anyOf"].as_array().map(|all| all.iter().map(titled).collect());
                let listed = || items["enum"].as_array().map(|all| listed(all, &Value::Null));
                let options: Vec<EntryOption> = named().or_else(listed)??;
                let size = |key: &str| size(key).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
                let default = schema["default"].as_array().into_iter().flatten();
                let place = |value: &Value| options.iter().position(|option| option.value == *value);
                let most = size("maxItems").unwrap_or(options.len()).min(options.len());
                let chosen = default.filter_map(place).take(most).collect();
                Self::Choice { several: true, least: size("minItems").unwrap_or(0), most, chosen, options }
            }
            _ => return None,
        })
    }

    fn one_of(options: Vec<EntryOption>, default: &Value) -> Self {
        let chosen = options.iter().position(|option| option.value == *default).into_iter().collect();
        Self::Choice { options, several: false, least: 1, most: 1, chosen }
    }

    /// What it has to be, as the end of a sentence; without the options of a choice.
    pub fn wanted(&self) -> String {
        match self {
            Self::Text { format, least, most, .. } => {
                let what = format.map_or("text", TextFormat::wanted);
                let range = range(least.as_ref(), most.as_ref(), "of");
                match most.or(*least) {
                    None => what.to_owned(),
                    Some(1) => format!("{what}{range} character"),
                    Some(_) => format!("{what}{range} characters"),
                }
            }
            Self::Number { whole, least, most, .. } => {
                let what = if *whole { "a whole number" } else { "a number" };
                format!("{what}{}", range(least.as_ref(), most.as_ref(), "from"))
            }
            Self::Choice { several: false, .. } => "one of these".to_owned(),
            Self::Choice { options, least, most, .. } if *least <= 1 && *most == options.len() => {
                "any of these".to_owned()
            }
            Self::Choice { least, most, .. } => format!("{least} to {most} of these"),
        }
    }
}

/// ` of at least 3`, or with this word for both bounds: ` from 3 to 5`.
fn range<T: std::fmt::Display>(least: Option<&T>, most: Option<&T>, both: &str) -> String {
    match (least, most) {
        (None, None) => String::new(),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (Some(least), Some(most)) => format!(" {both} {least} to {most}"),
    }
}

/// `{"const": "s", "title": "Small"}`
fn titled(option: &Value) -> Option<EntryOption> {
    let value = option["const"].as_str()?;
    Some(EntryOption { value: value.into(), label: option["title"].as_str().unwrap_or(value).to_owned() })
}

/// `["s", "m"]`, with the older form of titles beside it.
fn listed(values: &[Value], titles: &Value) -> Option<Vec<EntryOption>> {
    let option = |(place, value): (usize, &Value)| {
        let value = value.as_str()?;
        Some(EntryOption { value: value.into(), label: titles[place].as_str().unwrap_or(value).to_owned() })
    };
    values.iter().enumerate().map(option).collect()
}

impl TextFormat {
    fn read(format: &str) -> Option<Self> {
        Some(match format {
            "email" => Self::Email,
            "uri" => Self::Uri,
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            _ => return None,
        })
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Email => "an e-mail address",
            Self::Uri => "a web address such as https://example.org",
            Self::Date => "a date such as 2026-01-31",
            Self::DateTime => "a time such as 2026-01-31T12:00:00Z",
        }
    }

    /// Whether this is one; of the server's own rules nothing is known.
    fn takes(self, text: &str) -> bool {
        match self {
            Self::Email => {
                let is_part = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
                text.rsplit_once('@').is_some_and(|(name, host)| is_part(name) && is_part(host))
            }
            Self::Uri => !text.contains(char::is_whitespace) && Url::parse(text).is_ok(),
            Self::Date => text.len() == "2026-01-31".len() && text.parse::<jiff::civil::Date>().is_ok(),
            Self::DateTime => text.parse::<jiff::Timestamp>().is_ok(),
        }
    }
}

fn fits_length(text: &str, least: Option<u64>, most: Option<u64>) -> bool {
    let length = text.chars().count() as u64;
    least.is_none_or(|least| least <= length) && most.is_none_or(|most| length <= most)
}

/// A whole number may be written as 3.0, too.
fn number(text: &str, whole: bool) -> Option<Number> {
    if let Ok(number) = text.parse::<i64>() {
        return (number.unsigned_abs() <= LARGEST_WHOLE).then(|| number.into());
    }
    let number: f64 = text.parse().ok()?;
    match whole {
        true if number.fract() == 0.0 && number.abs() <= LARGEST_WHOLE as f64 => Some((number as i64).into()),
        true => None,
        false => Number::from_f64(number),
    }
}

fn is_within(number: &Number, least: &Option<Number>, most: &Option<Number>) -> bool {
    let value = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
    least.as_ref().is_none_or(|least| value(least) <= value(number))
        && most.as_ref().is_none_or(|most| value(number) <= value(most))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(properties: Value, required: Value) -> Option<Vec<FormEntry>> {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let body =
            json!({ "mcp_server_name": "x", "message": "y", "mode": "form", "requested_schema": schema });
        match ElicitationRequest::read(&body)?.wants {
            Elicited::Form(entries) => Some(entries),
            Elicited::Link(link) => panic!("{link:?}"),
        }
    }

    fn entry(schema: Value) -> FormEntry {
        form(json!({ "a": schema }), json!(["a"])).unwrap().pop().unwrap()
    }

    fn link(address: &str) -> Option<(String, String)> {
        let body = json!({ "mode": "url", "url": address });
        match ElicitationRequest::read(&body)?.wants {
            Elicited::Link(ElicitedLink { address, host }) => Some((address, host)),
            Elicited::Form(entries) => panic!("{entries:?}"),
        }
    }

    #[test]
    fn an_address_is_shown_as_a_browser_reads_it_and_leads_nowhere_but_to_the_web() {
        let read = |address| link(address).unwrap();
        let pair = |address: &str, host: &str| (address.to_owned(), host.to_owned());
        assert_eq!(read("https://e.org/a?b=c#d"), pair("https://e.org/a?b=c#d", "e.org"));
        assert_eq!(read("HTTP://E.org"), pair("http://e.org/", "e.org"));
        assert_eq!(read("https://google.com@e.org/"), pair("https://google.com@e.org/", "e.org"));
        assert_eq!(read("https://\u{430}pple.com/"), pair("https://xn--pple-43d.com/", "xn--pple-43d.com"));
        assert_eq!(read("https:\\\\e.org\\`?`"), pair("https://e.org/%60?%60", "e.org"));
        for other in [
            "",
            "e.org",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "ftp://e.org",
            "discord://x",
            "https://",
            "https://e.org/a b",
            "https://e.org\n/",
            "\u{202e}https://e.org",
        ] {
            assert_eq!(link(other), None, "{other:?}");
        }
        assert!(read("https://e.org/\u{202e}\u{200b}").0.is_ascii());
    }

    #[test]
    fn entries_come_in_the_servers_order_and_what_cannot_be_asked_is_none() {
        let text = json!({ "type": "string" });
        let body = json!({
            "mode": "form", "property_order": ["z", "gone", "a"],
            "requested_schema": { "properties": { "a": text, "m": text, "z": text } },
        });
        let Some(Elicited::Form(entries)) = ElicitationRequest::read(&body).map(|it| it.wants) else {
            panic!()
        };
        assert_eq!(entries.iter().map(FormEntry::title).collect::<Vec<_>>(), ["z", "a", "m"]);
        assert_eq!(form(json!({}), json!([])), Some(Vec::new()), "only a word of consent");

        let many = |count: usize, schema: &Value| {
            let all: Map<String, Value> = (0..count).map(|n| (n.to_string(), schema.clone())).collect();
            form(Value::Object(all), json!([]))
        };
        let yes_no = json!({ "type": "boolean" });
        assert!(many(5, &text).is_some() && many(6, &text).is_none());
        assert!(many(4, &yes_no).is_some() && many(5, &yes_no).is_none());
        let options = |count: usize| json!({ "type": "string", "enum": vec!["x"; count] });
        assert!(many(1, &options(24)).is_some() && many(1, &options(25)).is_none());
        for bad in [
            json!({ "type": "object", "properties": {} }),
            json!({ "type": "null" }),
            json!({ "type": ["string", "null"] }),
            json!({ "type": "array", "items": { "type": "string" } }),
            json!({ "type": "array", "items": { "enum": [1] } }),
            json!({ "type": "string", "enum": [] }),
            json!({ "type": "string", "oneOf": [{ "title": "no value" }] }),
            json!({}),
            json!("string"),
        ] {
            assert_eq!(form(json!({ "a": bad }), json!([])), None, "{bad}");
        }
        assert_eq!(form(json!({ "a": text }), json!(["b"])), None, "nobody could give it");
        assert_eq!(form(json!([]), json!([])), None);
        assert_eq!(form(json!({ "a": text }), json!(7)), None);
        assert_eq!(ElicitationRequest::read(&json!({ "mode": "from the future" })), None);
    }

    #[test]
    fn what_is_typed_has_to_be_what_is_wanted() {
        let told = |schema: &Value, typed: &str| match entry(schema.clone()).typed(typed) {
            Ok(value) => value.unwrap().to_string(),
            Err(mistake) => format!("{mistake:?}"),
        };
        for (schema, typed, expected) in [
            (json!({ "type": "string" }), " as it is ", "\" as it is \""),
            (json!({ "type": "string" }), "  ", "Missing"),
            (json!({ "type": "string", "minLength": 2, "maxLength": 3 }), "𝕊𝕊𝕊", "\"𝕊𝕊𝕊\""),
            (json!({ "type": "string", "minLength": 2, "maxLength": 3 }), "𝕊", "Unfit"),
            (json!({ "type": "string", "minLength": 2, "maxLength": 3 }), "abcd", "Unfit"),
            (json!({ "type": "string", "format": "email" }), " a@b.c ", "\"a@b.c\""),
            (json!({ "type": "string", "format": "email" }), "a@", "Unfit"),
            (json!({ "type": "string", "format": "email" }), "a b@c", "Unfit"),
            (json!({ "type": "string", "format": "uri" }), "https://e.org", "\"https://e.org\""),
            (json!({ "type": "string", "format": "uri" }), "e.org", "Unfit"),
            (json!({ "type": "string", "format": "date" }), "2026-02-28", "\"2026-02-28\""),
            (json!({ "type": "string", "format": "date" }), "2026-02-30", "Unfit"),
            (json!({ "type": "string", "format": "date" }), "2026-02-28T12:00", "Unfit"),
            (
                json!({ "type": "string", "format": "date-time" }),
                "2026-02-28T12:00:00+01:00",
                "\"2026-02-28T12:00:00+01:00\"",
            ),
            (json!({ "type": "string", "format": "date-time" }), "2026-02-28 noon", "Unfit"),
            (json!({ "type": "string", "format": "newer" }), "x", "\"x\""),
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), "9", "9"),
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), "3.0", "3"),
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), "10", "Unfit"),
            (json!({ "type": "integer" }), "3.5", "Unfit"),
            (json!({ "type": "integer" }), "9007199254740993", "Unfit"),
            (json!({ "type": "integer" }), "three", "Unfit"),
            (json!({ "type": "number", "minimum": -0.5 }), "-0.5", "-0.5"),
            (json!({ "type": "number", "minimum": -0.5 }), "-0.6", "Unfit"),
            (json!({ "type": "number" }), "1e3", "1000.0"),
            (json!({ "type": "number" }), "inf", "Unfit"),
            (json!({ "type": "number" }), "NaN", "Unfit"),
        ] {
            assert_eq!(told(&schema, typed), expected, "{schema} {typed:?}");
        }
        let optional = form(json!({ "a": { "type": "integer" } }), json!([])).unwrap();
        assert_eq!(optional[0].typed(" "), Ok(None), "it is left out");
    }

    #[test]
    fn choices_are_told_by_their_value_and_keep_their_default_until_somebody_chooses() {
        let size = json!({ "type": "string", "oneOf": [{ "const": "s", "title": "Small" }, { "const": "l" }], "default": "l" });
        let tags = json!({ "type": "array", "items": { "type": "string", "enum": ["a", "b", "c"] }, "minItems": 1, "maxItems": 2 });
        let old = json!({ "type": "string", "enum": ["s", "l"], "enumNames": ["Small"] });
        let labels = |schema: &Value| match entry(schema.clone()).kind {
            EntryKind::Choice { options, .. } => options.into_iter().map(|it| it.label).collect::<Vec<_>>(),
            kind => panic!("{kind:?}"),
        };
        assert_eq!(labels(&size), ["Small", "l"]);
        assert_eq!(labels(&old), ["Small", "l"]);
        let told = |schema: &Value, picked: Option<Vec<usize>>| entry(schema.clone()).chosen(picked.as_ref());
        assert_eq!(told(&size, None), Ok(Some(json!("l"))));
        assert_eq!(told(&size, Some(vec![0])), Ok(Some(json!("s"))));
        assert_eq!(told(&size, Some(vec![7])), Err(EntryMistake::Missing));
        assert_eq!(told(&old, None), Err(EntryMistake::Missing));
        assert_eq!(told(&json!({ "type": "boolean" }), Some(vec![1])), Ok(Some(json!(false))));
        assert_eq!(told(&tags, Some(vec![0, 2])), Ok(Some(json!(["a", "c"]))));
        assert_eq!(told(&tags, Some(vec![0, 1, 2])), Err(EntryMistake::Unfit));
        assert_eq!(told(&tags, Some(vec![])), Err(EntryMistake::Missing));
        let optional = form(json!({ "a": tags }), json!([])).unwrap();
        assert_eq!(optional[0].chosen(None), Ok(None), "it is left out");
    }

    #[test]
    fn no_label_holds_a_secret_and_the_server_gets_its_own_values() {
        let properties = json!({
            "key1": { "type": "string", "description": "not key1", "default": "key1" },
            "menu": { "type": "string", "enum": ["key1", "b"] },
        });
        let body = json!({ "mcp_server_name": "key1", "requested_schema": { "properties": properties } });
        let mut request = ElicitationRequest::read(&body).unwrap();
        request.redact_labels(|text| text.replace("key1", "[redacted]"));
        assert_eq!(request.server, "[redacted]");
        let Elicited::Form(entries) = request.wants else { panic!() };
        assert_eq!((entries[0].title(), entries[0].name.as_str()), ("[redacted]", "key1"));
        assert_eq!(entries[0].description.as_deref(), Some("not [redacted]"));
        assert!(matches!(&entries[0].kind, EntryKind::Text { default: None, .. }));
        let EntryKind::Choice { options, .. } = &entries[1].kind else { panic!() };
        assert_eq!((options[0].label.as_str(), &options[0].value), ("[redacted]", &json!("key1")));
    }

    #[test]
    fn what_is_wanted_is_said_in_words() {
        let wanted = |schema: Value| entry(schema).kind.wanted();
        let all = [
            wanted(json!({ "type": "string" })),
            wanted(json!({ "type": "string", "minLength": 1 })),
            wanted(json!({ "type": "string", "format": "email", "minLength": 3, "maxLength": 20 })),
            wanted(json!({ "type": "integer", "minimum": 1, "maximum": 9 })),
            wanted(json!({ "type": "number", "maximum": 0.5 })),
            wanted(json!({ "type": "boolean" })),
            wanted(json!({ "type": "array", "items": { "enum": ["a", "b"] } })),
            wanted(
                json!({ "type": "array", "items": { "enum": ["a", "b", "c"] }, "minItems": 1, "maxItems": 2 }),
            ),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        text
        text of at least 1 character
        an e-mail address of 3 to 20 characters
        a whole number from 1 to 9
        a number of at most 0.5
        one of these
        any of these
        1 to 2 of these
        ");
    }
}
