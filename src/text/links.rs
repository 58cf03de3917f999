//! Links: Discord shows a label in place of an address only for http and https, and not where the label is an address
//! itself.

use std::ops::Range;

use super::dialect::{Swap, swap};
use super::inline::{Span, SpanKind};

/// What becomes of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkForm {
    /// `[label](target)`
    Masked,
    /// The address alone: the label says the same.
    Address,
    /// The label alone: the target is within the document, or says the same.
    Label,
    /// The label, and the target in brackets.
    Both,
}

/// How a link with this label and this target is shown.
pub fn shown(label: &str, target: &str) -> LinkForm {
    let label = label.trim().trim_matches('`');
    let masked = target.starts_with("https://") || target.starts_with("http://");
    if masked && (label.is_empty() || bare(label) == bare(target)) {
        LinkForm::Address
    } else if masked && label.contains("://") {
        if label.contains(char::is_whitespace) { LinkForm::Both } else { LinkForm::Address }
    } else if masked {
        LinkForm::Masked
    } else if target.starts_with('#') || target.is_empty() || label == target || address(target) == label {
        LinkForm::Label
    } else {
        LinkForm::Both
    }
}

/// What of a target is to be read: of `mailto:` and `tel:`, the address.
pub fn address(target: &str) -> &str {
    target.strip_prefix("mailto:").or(target.strip_prefix("tel:")).unwrap_or(target)
}

/// An address without what is not said: the scheme, `www.`, and a slash at the end.
fn bare(address: &str) -> &str {
    let rest = address.strip_prefix("https://").or(address.strip_prefix("http://")).unwrap_or(address);
    rest.strip_prefix("www.").unwrap_or(rest).trim_end_matches('/')
}

/// Whether `[i](x)` behind this text is a call, `f[i](x)`.
pub fn is_call(before: &str, target: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !target.contains(['/', '.', '#', ':'])
}

/// Links and images, as Discord shows them.
pub fn write(text: &str, at: usize, spans: &[Span], swaps: &mut Vec<Swap>) {
    let mut link_end = 0;
    for span in spans {
        let SpanKind::Link { image, label } = &span.kind else { continue };
        let within = span.range.end <= link_end;
        link_end = link_end.max(span.range.end);
        let Range { start, end } = span.range;
        let words = &text[label.clone()];
        let inner = target(&text[label.end + 2..end - 1]);
        let target = label.end + 2 + inner.start..label.end + 2 + inner.end;
        let path = &text[target.clone()];
        let name = if words.trim().is_empty() { "image" } else { "" };
        if *image && within {
            swaps.push(swap(at + start..at + label.start, name));
            swaps.push(swap(at + label.end..at + end, ""));
            continue;
        }
        if within || is_call(&text[..start], path) {
            continue;
        }
        // Of an image in a label only the name is seen.
        let seen = if words.contains("](") || (*image && !name.is_empty()) { "image" } else { words };
        match shown(seen, path) {
            LinkForm::Masked if *image => swaps.push(swap(at + start..at + label.start, format!("[{name}"))),
            LinkForm::Masked => {}
            LinkForm::Address => {
                // What follows is not to be read as a part of it.
                let next = text[end..].trim_start_matches(['.', ',', ':', ';', '"', '\'', ')']);
                let apart = next.is_empty() || next.starts_with(char::is_whitespace);
                swaps.push(swap(at + start..at + target.start, if apart { "" } else { "<" }));
                swaps.push(swap(at + target.end..at + end, if apart { "" } else { ">" }));
            }
            LinkForm::Label => {
                swaps.push(swap(at + start..at + label.start, if *image { name } else { "" }));
                swaps.push(swap(at + label.end..at + end, ""));
            }
            LinkForm::Both if path.contains('`') => {}
            LinkForm::Both => {
                let masked = path.starts_with("http");
                let (open, close) = if masked { (" (<", ">)") } else { (" (`", "`)") };
                let skipped = path.len() - address(path).len();
                swaps.push(swap(at + start..at + label.start, if *image { name } else { "" }));
                swaps.push(swap(at + label.end..at + target.start + skipped, open));
                swaps.push(swap(at + target.end..at + end, close));
            }
        }
    }
}

/// What of a link's target is the address, without a title and angle brackets.
fn target(text: &str) -> Range<usize> {
    match text.strip_prefix('<') {
        Some(inner) => 1..1 + inner.find('>').unwrap_or(inner.len()),
        None => 0..text.find(char::is_whitespace).unwrap_or(text.len()),
    }
}
