//! What the author of a text means, as pulldown-cmark reads it: the characters a person is to see, and their look.
//!
//! CommonMark decides, with GFM's tables and strike-through, but for what is listed here:
//! - Tokens ([`token`](super::super::token)) are letters, and so is what stands in a bare address.
//! - `||…||` is a spoiler where both markers touch words on their inner sides only.
//! - An item with nothing in it is its marker: to Discord it is no item, and a person is to see that one is there.
//! - A heading of level 4 to 6 is bold; a rule is nothing; `[ ]` is a box; a footnote is `[1]`, where it stands.
//! - An image is a link; what is linked, but for http and https, is the label and, in brackets, the target as code;
//!   only the label where the target is within the document or the same, and the address alone where the label is
//!   one.
//! - Tags that Discord has something for are that; others are text. Comments are nothing.
//! - Tables and blocks of HTML are laid out anew: of these only the words are looked for.
//! - Code has no other look besides, and headings are bold anyway.
//! - Code by indentation in an item or a quote is prose, of which the words are looked for: there the same indentation
//!   mostly just goes on with a text, and Discord shows it as that.
//! - A definition of a link's target that nothing refers to stays as text, but for comments (`[//]: # (…)`).
//! - White space is not compared.

use std::rc::Rc;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Parser, Tag, TagEnd};

use super::super::links::{self, LinkForm};
use super::look::{BOLD, CODE, Glyph, HEADING, ITALIC, SPOILER, STRUCK, UNDERLINE};
use super::stand_in::{OPTIONS, own, with_formulas, with_unused_definitions, without_tokens};

/// A stretch of a document.
#[derive(Debug)]
pub enum Meant {
    /// This is seen.
    Text(Vec<Glyph>),
    /// Something is seen that has these words, one after the other.
    Words(Vec<String>),
}

/// The value of an attribute of a tag, or nothing.
fn attribute(tag: &str, name: &str) -> String {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once(name) {
        rest = after;
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else { continue };
        if before.ends_with(char::is_whitespace) {
            let quoted = |mark| value.strip_prefix(mark).and_then(|value: &str| value.split_once(mark));
            let bare = || value.split([' ', '>', '\n']).next().unwrap_or_default();
            let value = quoted('"').or_else(|| quoted('\'')).map_or_else(bare, |(value, _)| value);
            return value.trim().to_owned();
        }
    }
    String::new()
}

/// What Unicode has of lowered and raised characters.
const SUB: [(char, char); 15] = [
    ('0', '₀'),
    ('1', '₁'),
    ('2', '₂'),
    ('3', '₃'),
    ('4', '₄'),
    ('5', '₅'),
    ('6', '₆'),
    ('7', '₇'),
    ('8', '₈'),
    ('9', '₉'),
    ('+', '₊'),
    ('-', '₋'),
    ('=', '₌'),
    ('(', '₍'),
    (')', '₎'),
];
const SUP: [(char, char); 16] = [
    ('0', '⁰'),
    ('1', '¹'),
    ('2', '²'),
    ('3', '³'),
    ('4', '⁴'),
    ('5', '⁵'),
    ('6', '⁶'),
    ('7', '⁷'),
    ('8', '⁸'),
    ('9', '⁹'),
    ('+', '⁺'),
    ('-', '⁻'),
    ('=', '⁼'),
    ('(', '⁽'),
    (')', '⁾'),
    ('n', 'ⁿ'),
];

struct Reader {
    done: Vec<Meant>,
    text: Vec<Glyph>,
    /// The looks that are open.
    style: Vec<u16>,
    link: Vec<Option<Rc<str>>>,
    /// What is written behind each open link.
    tails: Vec<String>,
    /// Where the label of the innermost image began.
    images: Vec<usize>,
    words: Option<Vec<String>>,
    /// The block of HTML so far.
    html: String,
    /// Where the paragraph began, in `text`.
    paragraph: usize,
    /// Where the figures begin that are raised or lowered.
    small: Vec<usize>,
    /// Where the open items begin, and their markers.
    items: Vec<((usize, usize), String)>,
    /// How many quotes are open.
    quotes: usize,
}

/// What is meant by a text.
pub fn meant(source: &str) -> Vec<Meant> {
    let ends = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = with_unused_definitions(without_tokens(&with_formulas(ends)));
    let mut reader = Reader {
        done: Vec::new(),
        text: Vec::new(),
        style: Vec::new(),
        link: Vec::new(),
        tails: Vec::new(),
        images: Vec::new(),
        words: None,
        html: String::new(),
        paragraph: 0,
        small: Vec::new(),
        items: Vec::new(),
        quotes: 0,
    };
    for (event, range) in Parser::new_ext(&source, OPTIONS).into_offset_iter() {
        if event == Event::Start(Tag::Item) {
            let marker = source[range].split_whitespace().next().unwrap_or_default();
            let marker = marker.replace('+', "-").replace(')', ".");
            reader.items.push(((reader.done.len(), reader.text.len()), marker));
        }
        reader.event(event);
    }
    reader.spoilers();
    reader.done.push(Meant::Text(reader.text));
    reader.done
}

impl Reader {
    fn put(&mut self, text: &str, style: u16) {
        if let Some(words) = &mut self.words {
            let text: String = text.chars().map(own).collect();
            words.extend(
                text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned),
            );
            return;
        }
        let style = self.style.iter().fold(style, |all, style| all | style);
        let link = self.link.last().cloned().flatten();
        self.text.extend(text.chars().map(|c| Glyph { c: own(c), style, link: link.clone() }));
    }

    /// Whether this is within an item or a quote.
    fn nested(&self) -> bool {
        !self.items.is_empty() || self.quotes > 0
    }

    fn begin_words(&mut self) {
        self.spoilers();
        self.done.push(Meant::Text(std::mem::take(&mut self.text)));
        self.paragraph = 0;
        self.words = Some(Vec::new());
    }

    fn end_words(&mut self) {
        self.done.extend(self.words.take().map(Meant::Words));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.put(&text, 0),
            Event::Code(text) => self.put(&text, CODE),
            Event::SoftBreak | Event::HardBreak => self.put("\n", 0),
            Event::FootnoteReference(label) => self.put(&format!("[{label}]"), 0),
            Event::TaskListMarker(done) => self.put(if done { "☑ " } else { "☐ " }, 0),
            Event::InlineHtml(html) => self.tag(&html),
            Event::Html(html) => self.html += &html,
            Event::Rule | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::Item => {
                self.spoilers();
            }
            Tag::Heading { level, .. } => {
                self.spoilers();
                self.style.push(if level <= HeadingLevel::H3 { HEADING } else { BOLD });
            }
            Tag::CodeBlock(CodeBlockKind::Indented) if self.nested() => self.begin_words(),
            Tag::BlockQuote(_) => self.quotes += 1,
            Tag::CodeBlock(_) => {
                self.spoilers();
                self.style.push(CODE);
            }
            Tag::Emphasis => self.style.push(ITALIC),
            Tag::Strong => self.style.push(BOLD),
            Tag::Strikethrough => self.style.push(STRUCK),
            Tag::Table(_) | Tag::HtmlBlock => self.begin_words(),
            Tag::FootnoteDefinition(label) => self.put(&format!("[{label}] "), 0),
            Tag::Link { link_type, dest_url, .. } => {
                let target: String = dest_url.chars().map(own).collect();
                self.open_link(target, matches!(link_type, LinkType::Autolink | LinkType::Email));
            }
            Tag::Image { dest_url, .. } => self.open_image(dest_url.chars().map(own).collect()),
            _ => {}
        }
    }

    /// `is_auto`: `<https://…>`
    fn open_link(&mut self, target: String, is_auto: bool) {
        let masked = target.starts_with("https://") || target.starts_with("http://");
        if is_auto && target.starts_with("id:") {
            self.put("<", 0);
        }
        self.tails.push(match is_auto {
            true if target.starts_with("id:") => ">".to_owned(),
            true => String::new(),
            false if masked => "=".to_owned() + &target,
            false if target.starts_with('#') || target.is_empty() => String::new(),
            false => "+".to_owned() + &target,
        });
        self.images.push(self.text.len());
        self.link.push((masked && !is_auto).then(|| target.into()));
    }

    fn open_image(&mut self, target: String) {
        let masked = target.starts_with("https://") || target.starts_with("http://");
        let within = !self.link.is_empty();
        self.images.push(self.text.len());
        let own = masked.then(|| target.as_str().into());
        self.link.push(if within { self.link.last().cloned().flatten() } else { own });
        self.tails.push(if within || masked { String::new() } else { "+".to_owned() + &target });
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock if self.words.is_some() => self.end_words(),
            TagEnd::BlockQuote(_) => self.quotes -= 1,
            TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough => {
                if matches!(tag, TagEnd::Heading(_)) {
                    self.spoilers();
                }
                self.style.pop();
                if tag == TagEnd::CodeBlock {
                    self.paragraph = self.text.len();
                }
            }
            TagEnd::Paragraph => self.spoilers(),
            TagEnd::Item => {
                self.spoilers();
                if let Some((begin, marker)) = self.items.pop()
                    && begin == (self.done.len(), self.text.len())
                {
                    self.put(&marker, 0);
                }
            }
            TagEnd::Table => self.end_words(),
            TagEnd::HtmlBlock => {
                let html = std::mem::take(&mut self.html);
                self.html(&html);
                self.end_words();
            }
            TagEnd::Image | TagEnd::Link => {
                let begin = self.images.pop().unwrap_or_default();
                if tag == TagEnd::Image && self.words.is_none() && self.text.len() == begin {
                    self.put("image", 0);
                }
                self.link.pop();
                let tail = self.tails.pop().unwrap_or_default();
                let begin = begin.min(self.text.len());
                let label: String = self.text[begin..].iter().map(|glyph| glyph.c).collect();
                match tail.split_at_checked(1) {
                    Some(("+" | "=", target)) if self.words.is_none() => match links::shown(&label, target) {
                        LinkForm::Masked => {}
                        LinkForm::Label => self.text[begin..].iter_mut().for_each(|glyph| glyph.link = None),
                        LinkForm::Address => {
                            self.text.truncate(begin);
                            self.put(target, 0);
                        }
                        LinkForm::Both => {
                            self.text[begin..].iter_mut().for_each(|glyph| glyph.link = None);
                            let style = if target.starts_with("http") { 0 } else { CODE };
                            let target = target.trim_matches('`');
                            self.put(" (", 0);
                            self.put(links::address(target), style);
                            self.put(")", 0);
                        }
                    },
                    Some((">", _)) => self.put(">", 0),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn tag(&mut self, html: &str) {
        let html: String = html.chars().map(own).collect();
        let name = html.trim_start_matches(['<', '/']);
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let style = match name {
            "b" | "strong" => BOLD,
            "i" | "em" => ITALIC,
            "u" | "ins" => UNDERLINE,
            "s" | "del" | "strike" => STRUCK,
            "code" | "kbd" | "tt" | "samp" => CODE,
            "br" => return self.put("\n", 0),
            "a" if html.starts_with("</") => return self.end(TagEnd::Link),
            "a" => return self.open_link(attribute(&html, "href"), false),
            "img" => {
                self.open_image(attribute(&html, "src"));
                self.put(&attribute(&html, "alt"), 0);
                return self.end(TagEnd::Image);
            }
            "sub" | "sup" if html.starts_with("</") => return self.figures(name),
            "sub" | "sup" => return self.small.push(self.text.len()),
            _ if html.starts_with("<!--") => return,
            _ => return self.put(&html, 0),
        };
        if html.starts_with("</") {
            self.style.pop();
        } else {
            self.style.push(style);
        }
    }

    /// Raises or lowers what stands since the tag before: by Unicode's figures, or in brackets.
    fn figures(&mut self, name: &str) {
        let begin = self.small.pop().unwrap_or_default().min(self.text.len());
        let (figures, mark) = if name == "sub" { (&SUB[..], "_(") } else { (&SUP[..], "^(") };
        let figure = |c: char| figures.iter().find(|(from, _)| *from == c).map(|(_, to)| *to);
        if self.text[begin..].iter().all(|glyph| figure(glyph.c).is_some()) {
            for glyph in &mut self.text[begin..] {
                glyph.c = figure(glyph.c).unwrap_or(glyph.c);
            }
            return;
        }
        let inner = self.text.split_off(begin);
        self.put(mark, 0);
        self.text.extend(inner);
        self.put(")", 0);
    }

    fn html(&mut self, html: &str) {
        let mut text = html;
        while let Some(start) = text.find('<') {
            self.put(&text[..start], 0);
            let end = if text[start..].starts_with("<!--") { "-->" } else { ">" };
            text = text[start..].find(end).map_or("", |at| &text[start + at + end.len()..]);
        }
        self.put(text, 0);
        // A raised figure becomes another character.
        if let Some(words) = &mut self.words {
            words.retain(|word| !word.chars().all(char::is_numeric));
        }
    }

    /// Makes spoilers of the paragraph so far, and begins another one.
    fn spoilers(&mut self) {
        let text = &self.text[self.paragraph..];
        let is = |at: usize| {
            let bar = |at: usize| text.get(at).is_some_and(|glyph| glyph.c == '|' && glyph.style & CODE == 0);
            bar(at) && bar(at + 1) && !bar(at + 2) && !at.checked_sub(1).is_some_and(bar)
        };
        let c = |at: Option<usize>| at.and_then(|at| text.get(at)).map(|glyph| glyph.c);
        // One that crosses another look is text, as CommonMark has it of its own.
        let is_within = |begin: usize, end: usize| text[begin].style == text[end].style;
        let outer = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let inner = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        let marks: Vec<usize> = (0..text.len()).filter(|&at| is(at)).collect();
        let mut pairs = Vec::new();
        let mut open = None;
        for at in marks {
            let (before, after) = (c(at.checked_sub(1)), c(Some(at + 2)));
            match open {
                Some(begin) if inner(before) && outer(after) && is_within(begin, at) => {
                    pairs.push((begin, at));
                    open = None;
                }
                _ if inner(after) && outer(before) => open = Some(at),
                _ => {}
            }
        }
        let mut text = self.text.split_off(self.paragraph);
        for &(begin, end) in pairs.iter().rev() {
            text[begin..end].iter_mut().for_each(|glyph| glyph.style |= SPOILER);
            text.drain(end..end + 2);
            text.drain(begin..begin + 2);
        }
        self.text.extend(text);
        self.paragraph = self.text.len();
    }
}
