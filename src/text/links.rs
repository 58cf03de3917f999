//! Links: Discord shows a label in place of an address only for http and https, and not where the label is an address
//! itself.

use std::ops::Range;

use super::dialect::{Swap, swap};
use super::html;
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
    } else if masked && is_label(label) {
        LinkForm::Masked
    } else if masked {
        LinkForm::Both
    } else if target.starts_with('#') || target.is_empty() || label == target || address(target) == label {
        LinkForm::Label
    } else {
        LinkForm::Both
    }
}

/// Whether Discord finds the end of this label: behind a `[` in it there is a `]`, and behind a `]` no `[`.
fn is_label(label: &str) -> bool {
    let mut rest = label;
    while let Some(at) = rest.find(['[', ']']) {
        let after = &rest[at + 1..];
        rest = match rest.as_bytes()[at] {
            b'[' => match after.split_once(']') {
                Some((_, after)) => after,
                None => return false,
            },
            _ if after.find(['[', ']']).is_some_and(|next| after.as_bytes()[next] == b'[') => return false,
            _ => after,
        };
    }
    true
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
        let SpanKind::Link { image, label, reference } = &span.kind else { continue };
        let within = span.range.end <= link_end;
        link_end = link_end.max(span.range.end);
        let Range { start, end } = span.range;
        let words = &text[label.clone()];
        let name = if words.trim().is_empty() { "image" } else { "" };
        if *image && within {
            swaps.push(swap(at + start..at + label.start, name));
            swaps.push(swap(at + label.end..at + end, ""));
            continue;
        }
        let target = match reference {
            None => {
                let inner = target(&text[label.end + 2..end - 1]);
                Some(label.end + 2 + inner.start..label.end + 2 + inner.end)
            }
            Some(_) => None,
        };
        let path = match (&target, reference) {
            (None, Some(reference)) => reference,
            (Some(target), _) => &text[target.clone()],
            (None, None) => continue,
        };
        if within || (reference.is_none() && is_call(&text[..start], path)) {
            continue;
        }
        let open = at + start..at + label.start;
        // What stands behind the label, or behind `[`, with the target of the source kept where there is one.
        let mut replace = |from: usize, before: String, skipped: usize, after: &str| match &target {
            Some(target) => {
                swaps.push(swap(from..at + target.start + skipped, before));
                swaps.push(swap(at + target.end..at + end, after.to_owned()));
            }
            None => swaps.push(swap(from..at + end, format!("{before}{}{after}", &path[skipped..]))),
        };
        // Of an image in a label only the name is seen.
        let is_image = has_image(words.trim_start()) || (*image && !name.is_empty());
        let form = shown(if is_image { image_name(words) } else { words }, path);
        let masked = path.starts_with("http");
        match form {
            LinkForm::Masked if reference.is_some() => {
                swaps.push(swap(at + label.end..at + end, format!("]({})", escaped(path))));
            }
            LinkForm::Masked => {
                // It is one line to Discord.
                if let Some(target) = &target
                    && text[label.end..end].contains(['\n', '\r'])
                {
                    swaps.push(swap(at + label.end..at + target.start, "]("));
                    swaps.push(swap(at + target.end..at + end, ")"));
                }
            }
            LinkForm::Address => {
                // What follows is not to be read as a part of it.
                let next = text[end..].trim_start_matches(['.', ',', ':', ';', '"', '\'', ')']);
                let apart = next.is_empty() || next.starts_with(char::is_whitespace);
                let (before, after) = if apart { ("", "") } else { ("<", ">") };
                replace(at + start, before.to_owned(), 0, after);
            }
            LinkForm::Label => swaps.push(swap(at + label.end..at + end, "")),
            LinkForm::Both if path.contains('`') && reference.is_none() => continue,
            LinkForm::Both if path.contains('`') => {
                swaps.push(swap(at + label.end..at + end, format!(" ({})", literal(path))));
            }
            LinkForm::Both => {
                let (before, after) = if masked { (" (<", ">)") } else { (" (`", "`)") };
                replace(at + label.end, before.to_owned(), path.len() - address(path).len(), after);
            }
        }
        match form {
            LinkForm::Masked if *image => swaps.push(swap(open, format!("[{name}"))),
            LinkForm::Label | LinkForm::Both => swaps.push(swap(open, if *image { name } else { "" })),
            LinkForm::Masked | LinkForm::Address => {}
        }
    }
}

/// What is seen of a label that is an image.
fn image_name(label: &str) -> &str {
    let alt = label.trim().strip_prefix("![").and_then(|label| label.split(']').next());
    alt.filter(|alt| !alt.trim().is_empty() && !alt.contains('[')).unwrap_or("image")
}

/// Whether there is an image in a label.
fn has_image(label: &str) -> bool {
    label.contains("](") || label.contains("![") || html::tag(label).is_some_and(|tag| tag.is("img"))
}

/// A text with a backslash before all that Discord could take for a marker.
fn literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\`*_~|<>[".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A target with a backslash before each bracket that no other one matches.
fn escaped(target: &str) -> String {
    let mut open = Vec::new();
    let mut odd = Vec::new();
    for (at, byte) in target.bytes().enumerate() {
        match byte {
            b'(' => open.push(at),
            b')' if open.pop().is_none() => odd.push(at),
            _ => {}
        }
    }
    odd.extend(open);
    odd.sort_unstable();
    let mut out = target.to_owned();
    odd.iter().rev().for_each(|&at| out.insert(at, '\\'));
    out
}

/// What of a link's target is the address, without a title and angle brackets.
fn target(text: &str) -> Range<usize> {
    let inner = text.trim_start();
    let skipped = text.len() - inner.len();
    let range = match inner.strip_prefix('<') {
        Some(inner) => 1..1 + inner.find('>').unwrap_or(inner.len()),
        None => 0..inner.find(char::is_whitespace).unwrap_or(inner.len()),
    };
    skipped + range.start..skipped + range.end
}

/// Where the target of a link ends whose `(` may stand here.
pub fn target_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'(') {
        return None;
    }
    let mut depth = 1;
    let mut quote = None;
    let mut angle = bytes.get(at + 1) == Some(&b'<');
    let mut here = at + 1;
    while let Some(&byte) = bytes.get(here) {
        match (byte, quote) {
            (b'\n' | b'\r', Some(_)) => return None,
            (b'\n' | b'\r', None) if angle => return None,
            // There are no links in targets, and each text is searched only once.
            (b']', _) if bytes.get(here + 1) == Some(&b'(') => return None,
            (b'\\', _) => here += 1,
            (_, Some(mark)) if byte == mark => quote = None,
            (_, Some(_)) => {}
            (b'>', None) => angle = false,
            (_, None) if angle => {}
            // White space comes only before the target, a title or the end.
            (b' ' | b'\t' | b'\n' | b'\r', None) => {
                let space = space_length(&bytes[here..])?;
                match bytes.get(here + space) {
                    Some(&mark @ (b'"' | b'\'')) => {
                        here += space;
                        quote = Some(mark);
                    }
                    Some(b')') => here += space - 1,
                    _ if here == at + 1 => {
                        here += space - 1;
                        angle = bytes.get(here + 1) == Some(&b'<');
                    }
                    _ => return None,
                }
            }
            (b'(', None) => depth += 1,
            (b')', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(here + 1);
                }
            }
            _ => {}
        }
        here += 1;
    }
    None
}

/// The length of the white space here, which has one line end at most.
fn space_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    (bytes[..length].iter().filter(|&&b| b == b'\n').count() < 2).then_some(length)
}
