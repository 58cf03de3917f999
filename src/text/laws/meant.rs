//! What the author of a text means, as pulldown-cmark reads it: the characters a person is to see, and their look.
//!
//! CommonMark decides, with GFM's tables and strike-through, but for what is listed here:
//! - Tokens ([`token`](super::super::token)) are letters, and so is what stands in a bare address.
//! - `||…||` is a spoiler where both markers touch words on their inner sides only.
//! - A heading of level 4 to 6 is bold; a rule is nothing; `[ ]` is a box; a footnote is `[1]`, where it stands.
//! - An image is a link; what is linked, but for http and https, is the label and, in brackets, the target as code;
//!   only the label where the target is within the document or the same, and the address alone where the label is
//!   one.
//! - Tags that Discord has something for are that; others are text. Comments are nothing.
//! - Tables and blocks of HTML are laid out anew: of these only the words are looked for.
//! - Code has no other look besides, and headings are bold anyway.
//! - White space is not compared.

use std::rc::Rc;

use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::super::inline::address_length;
use super::super::links::{self, LinkForm};
use super::super::token;
use super::look::{BOLD, CODE, Glyph, HEADING, ITALIC, SPOILER, STRUCK, UNDERLINE};

/// A stretch of a document.
#[derive(Debug)]
pub enum Meant {
    /// This is seen.
    Text(Vec<Glyph>),
    /// Something is seen that has these words, one after the other.
    Words(Vec<String>),
}

/// Where the stand-ins begin: characters of nobody's, for those that are no markup.
const STAND_INS: u32 = 0xf_0000;

fn stand_in(c: char) -> char {
    char::from_u32(STAND_INS + u32::from(c)).unwrap_or(c)
}

fn own(c: char) -> char {
    u32::from(c).checked_sub(STAND_INS).and_then(char::from_u32).unwrap_or(c)
}

/// The source with stand-ins for all markers that are letters.
fn without_tokens(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let length = match c {
            'h' if rest.starts_with("https://") || rest.starts_with("http://") => address_length(rest),
            '*' | '_' => rest.bytes().take_while(|&b| b == c as u8).count(),
            '\\' if !token::is_path_mark(source, at) => {
                1 + rest[1..].chars().next().filter(char::is_ascii_punctuation).map_or(0, char::len_utf8)
            }
            c => c.len_utf8(),
        };
        let literal = match c {
            '*' | '_' => token::is_literal(source, at..at + length),
            'h' => true,
            '\\' => token::is_path_mark(source, at),
            // Between letters of scripts without spaces, markers are markers whatever stops beside them.
            '\u{3001}'..='\u{303f}' | '\u{ff01}'..='\u{ff65}' => true,
            _ => false,
        };
        out.extend(rest[..length].chars().map(|c| if literal { stand_in(c) } else { c }));
        at += length;
    }
    out
}

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
    /// Where the paragraph began, in `text`.
    paragraph: usize,
    /// Something here is shown by rules of its own, and is not compared.
    unclear: bool,
}

/// Nothing where something is shown by rules of its own.
pub fn meant(source: &str) -> Option<Vec<Meant>> {
    let ends = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = without_tokens(&ends);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut reader = Reader {
        done: Vec::new(),
        text: Vec::new(),
        style: Vec::new(),
        link: Vec::new(),
        tails: Vec::new(),
        images: Vec::new(),
        words: None,
        paragraph: 0,
        unclear: false,
    };
    for event in Parser::new_ext(&source, options) {
        reader.event(event);
    }
    reader.spoilers();
    reader.done.push(Meant::Text(reader.text));
    (!reader.unclear).then_some(reader.done)
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
            Event::Html(html) => self.html(&html),
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
                let masked = target.starts_with("https://") || target.starts_with("http://");
                let is_auto = matches!(link_type, LinkType::Autolink | LinkType::Email);
                if is_auto && target.starts_with("id:") {
                    self.put("<", 0);
                }
                self.tails.push(match link_type {
                    LinkType::Autolink if target.starts_with("id:") => ">".to_owned(),
                    LinkType::Autolink | LinkType::Email => String::new(),
                    _ if masked => "=".to_owned() + &target,
                    _ if target.starts_with('#') || target.is_empty() => String::new(),
                    _ => "+".to_owned() + &target,
                });
                self.images.push(self.text.len());
                self.link.push((masked && !is_auto).then(|| target.into()));
            }
            Tag::Image { dest_url, .. } => {
                let target: String = dest_url.chars().map(own).collect();
                let masked = target.starts_with("https://") || target.starts_with("http://");
                let within = !self.link.is_empty();
                self.tails.push(if within || masked { String::new() } else { "+".to_owned() + &target });
                self.images.push(self.text.len());
                let own = masked.then(|| target.as_str().into());
                self.link.push(if within { self.link.last().cloned().flatten() } else { own });
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
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
            TagEnd::Paragraph | TagEnd::Item => self.spoilers(),
            TagEnd::Table | TagEnd::HtmlBlock => self.end_words(),
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
                    Some(("+", target)) if self.words.is_none() => match links::shown(&label, target) {
                        LinkForm::Masked => {}
                        LinkForm::Label => self.text[begin..].iter_mut().for_each(|glyph| glyph.link = None),
                        LinkForm::Address => {
                            self.text.truncate(begin);
                            self.put(target, 0);
                        }
                        LinkForm::Both => {
                            self.text[begin..].iter_mut().for_each(|glyph| glyph.link = None);
                            let style = if target.starts_with("http") { 0 } else { CODE };
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
        let name = html.trim_start_matches(['<', '/']).trim_end_matches(['>', '/', ' ']);
        let style = match name {
            "b" | "strong" => BOLD,
            "i" | "em" => ITALIC,
            "u" | "ins" => UNDERLINE,
            "s" | "del" | "strike" => STRUCK,
            "code" | "kbd" | "tt" | "samp" => CODE,
            "br" => return self.put("\n", 0),
            _ if html.starts_with("<!--") => return,
            _ if !["a", "img", "sub", "sup"].contains(&name.split(' ').next().unwrap_or_default()) => {
                return self.put(html, 0);
            }
            // What these show is looked at in cases of their own.
            _ => {
                self.unclear = true;
                return;
            }
        };
        if html.starts_with("</") {
            self.style.pop();
        } else {
            self.style.push(style);
        }
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
        let outer = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let inner = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        let marks: Vec<usize> = (0..text.len()).filter(|&at| is(at)).collect();
        let mut pairs = Vec::new();
        let mut open = None;
        for at in marks {
            let (before, after) = (c(at.checked_sub(1)), c(Some(at + 2)));
            match open {
                Some(begin) if inner(before) && outer(after) => {
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
