//! What must arrive according to pulldown-cmark, which knows nothing about the splitter: the lines of code byte for byte and in
//! order, and each word of prose where the map says that it is. The order of prose follows from exactness.
//!
//! Not checked, with the reason:
//! - HTML blocks, apart from the words between their tags: tags and comments are not prose. A fence in an HTML block is text for
//!   CommonMark and a block for Discord, so neither its lines nor its fences are checked.
//! - The targets and titles of images: without a picture, only the alt text means anything. The targets of links must arrive.
//! - Definitions of link references: CommonMark does not show them.
//! - Indented code in list items and quotes: Discord does not know it, and there the same indentation may just continue a
//!   paragraph; its words must arrive as prose. Without the dialect that is true of all indented code.
//! - Blank lines at the end of an unclosed block: they are white space at the end of its container.
//! - Character references (`&amp;`) and backslash escapes: the bytes of the source are checked, not what CommonMark makes of
//!   them, because Discord knows the escapes itself.
//! - In cells of tables, everything but words of letters and digits; and these may come as added text (a header is repeated in
//!   each row), because the splitter lays tables out anew.
//! - Everything but the label of a footnote's mark: `[^1]:` becomes `[1]`, even if CommonMark sees no footnote because its
//!   definition is missing; the splitter cannot wait for it.
//! - What would be a list marker at the start of a line if CommonMark let that list interrupt a paragraph (`7.`, a marker with
//!   nothing after it): Discord sees a list, and the splitter writes `-` for `+`, `.` for `)`, and counts.
//! - The indentation of a code line that has a tab in it, or whose fence is itself indented by up to three spaces: by how many
//!   columns it is dedented is the parser's choice. Without the dialect, any white space before a code line, because blocks
//!   stay in their lists.

mod code;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::super::html;
use super::super::links::{self, LinkForm};
use super::super::math;
use super::discord;
use super::{Case, Part, Spot, WHOLE, tokens, units};
use code::Code;

/// What must arrive.
#[derive(Debug, Default)]
struct Oracle {
    code: Vec<Code>,
    /// Prose, without white space.
    prose: Vec<Range<usize>>,
    tables: Vec<Range<usize>>,
    /// Words of cells.
    cells: Vec<Range<usize>>,
    /// Links, code spans and emphasis, which are never torn if they fit.
    whole: Vec<Range<usize>>,
    /// Indented code with markers, in which Discord, but no parser, may see emphasis; that is kept whole rather than words.
    unclear: Vec<Range<usize>>,
}

pub fn check(case: &Case) -> Result<(), String> {
    let oracle = Oracle::read(case.source, case.format.dialect);
    oracle.prose(case)?;
    oracle.cells(case)?;
    oracle.torn(case)?;
    oracle.code(case)?;
    oracle.narrow(case)
}

impl Oracle {
    fn read(source: &str, dialect: bool) -> Self {
        // A line end in CommonMark, but not everywhere in its parser; no byte may move.
        let is_alone = |at: usize| !source[at + 1..].starts_with('\n');
        let ends = source.char_indices().map(|(at, c)| if c == '\r' && is_alone(at) { '\n' } else { c });
        let source = ends.collect::<String>();
        let source = source.as_str();
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS;
        let mut oracle = Self::default();
        let mut block: Option<Code> = None;
        let (mut items, mut quotes, mut cells, mut small) = (0, 0, 0, 0);
        let mut html = Html::Text;
        let mut addresses: Vec<Range<usize>> = Vec::new();
        for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let (fenced, info) = match kind {
                        CodeBlockKind::Fenced(info) => (true, info.to_string()),
                        CodeBlockKind::Indented => (false, String::new()),
                    };
                    block = Some(Code {
                        range,
                        fenced,
                        info,
                        nested: items > 0 || (!fenced && quotes > 0),
                        ..Code::default()
                    });
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some(mut block) = block.take() {
                        block.finish(source, dialect);
                        if !block.fenced && (block.nested || !dialect) {
                            let text = &source[block.range.clone()];
                            if text.contains(['*', '_', '~', '|', '`', '[']) {
                                oracle.unclear.push(block.range.clone());
                            }
                        }
                        oracle.code.push(block);
                    }
                }
                Event::Text(text) => match &mut block {
                    Some(block) => {
                        block.lines.push(text.to_string());
                        if !block.fenced && (block.nested || !dialect) {
                            oracle.add(source, range);
                        }
                    }
                    // A character reference, or a raised figure, becomes another character.
                    None if dialect && (source[range.clone()] != *text || small > 0) => {}
                    None if cells > 0 => oracle.add_cell(source, range),
                    None => oracle.add(source, range),
                },
                Event::InlineHtml(tag) if tag.starts_with("<su") => small += 1,
                Event::InlineHtml(tag) if tag.starts_with("</su") => small = 0,
                Event::Code(_) if cells > 0 => oracle.add_cell(source, range),
                Event::Code(code) => {
                    // Between three or more backticks it is a span only in CommonMark; and what holds as many gets others.
                    let ticks = source[range.clone()].bytes().take_while(|&b| b == b'`').count();
                    let ticks = if ticks >= 3 || (dialect && code.contains("```")) { ticks } else { 0 };
                    oracle.add(source, range.start + ticks..range.end - ticks);
                    oracle.whole.push(range);
                }
                Event::FootnoteReference(_) if cells > 0 => oracle.add_cell(source, range),
                Event::FootnoteReference(label) => oracle.add_within(source, range, &label),
                Event::Start(Tag::FootnoteDefinition(label)) => oracle.add_within(source, range, &label),
                Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                    // The target of a link within the document, or one that says the same as its label, is dropped.
                    let label = source[range.clone()].split("](").next().unwrap_or_default();
                    let label = label.split("][").next().unwrap_or_default();
                    let label = label.trim_end_matches(']');
                    let label = label.trim_start_matches('[');
                    // Of an image in a label only the name is seen.
                    let seen = label.strip_prefix("![").unwrap_or(label);
                    let seen = if seen.trim().is_empty() { "image" } else { seen };
                    let shown = links::shown(seen, &dest_url);
                    if cells == 0 && link_type == LinkType::Inline && !(dialect && shown == LinkForm::Label) {
                        let target = if dialect { links::address(&dest_url) } else { &dest_url };
                        oracle.add_within(source, range.clone(), target);
                    }
                    if dialect && shown == LinkForm::Address {
                        addresses.push(range.start..range.start + label.len() + 1);
                    }
                    oracle.whole.push(range);
                }
                Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => oracle.whole.push(range),
                Event::Start(Tag::BlockQuote(_)) => quotes += 1,
                Event::End(TagEnd::BlockQuote(_)) => quotes -= 1,
                Event::Start(Tag::Item) => items += 1,
                Event::End(TagEnd::Item) => items -= 1,
                Event::Start(Tag::TableCell) => cells += 1,
                Event::End(TagEnd::TableCell) => cells -= 1,
                Event::Start(Tag::Table(_)) => oracle.tables.push(range),
                Event::Start(Tag::HtmlBlock) => html = Html::Text,
                Event::Html(_) => oracle.add_html(source, range, &mut html),
                _ => {}
            }
        }
        // A label that says what its target says gives way to it.
        oracle.prose.retain(|word| !addresses.iter().any(|label| label.contains(&word.start)));
        if dialect {
            oracle.without_formulas(source);
        }
        // Footnotes are defined where they are first used, and links come before what is in them.
        oracle.prose.sort_by_key(|range| range.start);
        oracle.code.retain(|code| code.fenced || (dialect && !code.nested));
        oracle.code.sort_by_key(|code| code.range.start);
        oracle
    }

    fn add(&mut self, source: &str, range: Range<usize>) {
        for token in tokens(&source[range.clone()]) {
            self.prose.push(range.start + token.start..range.start + token.end);
        }
    }

    /// Formulas become code, in Unicode where they can: what they show is a matter of the law of meaning.
    fn without_formulas(&mut self, source: &str) {
        let mut at = 0;
        let mut formulas = Vec::new();
        while let Some(place) = source[at..].find(['$', '\\']).map(|place| at + place) {
            at = match math::find(source, place) {
                Some(formula) => {
                    formulas.push(formula.range.clone());
                    formula.range.end
                }
                None => place + 1,
            };
        }
        let is_outside = |word: &Range<usize>| {
            let after = formulas.partition_point(|formula: &Range<usize>| formula.end <= word.start);
            formulas.get(after).is_none_or(|formula| formula.start >= word.end)
        };
        self.prose.retain(is_outside);
        self.cells.retain(is_outside);
    }

    /// The last place in this range where the source has this text.
    fn add_within(&mut self, source: &str, range: Range<usize>, text: &str) {
        if let Some(at) = source[range.clone()].rfind(text) {
            self.add(source, range.start + at..range.start + at + text.len());
        }
    }

    fn add_cell(&mut self, source: &str, range: Range<usize>) {
        self.cells.extend(words(source, range));
    }

    /// A line of an HTML block, of which the words between tags and comments must arrive.
    fn add_html(&mut self, source: &str, range: Range<usize>, state: &mut Html) {
        let line = &source[range.clone()];
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        let mut text = String::new();
        for (at, c) in line.char_indices() {
            let starts_tag = || line[at + 1..].starts_with(|c: char| c.is_alphabetic() || "/!?".contains(c));
            if *state == Html::Text && c == '<' && starts_tag() {
                *state = if line[at..].starts_with("<!--") { Html::Comment } else { Html::Tag };
            }
            // A character reference is another character.
            let is_entity = c == '&' && html::reference(&line[at..]).is_some();
            if is_entity && *state == Html::Text {
                *state = Html::Entity;
            }
            let is_word = *state == Html::Text && !is_fence;
            text.extend(std::iter::repeat_n(
                if is_word && c.is_alphanumeric() { 'x' } else { ' ' },
                c.len_utf8(),
            ));
            if c == '>'
                && *state == Html::Tag
                && line[..at].ends_with(['b', 'p'])
                && line[..at].contains("<su")
            {
                // A raised figure becomes another character.
                *state = if line[..at].ends_with("</sub") || line[..at].ends_with("</sup") {
                    Html::Text
                } else {
                    *state
                };
                continue;
            }
            if (c == '>' && (*state == Html::Tag || line[..=at].ends_with("-->")))
                || (c == ';' && *state == Html::Entity)
            {
                *state = Html::Text;
            }
        }
        self.prose.extend(
            tokens(&text).into_iter().map(|token| range.start + token.start..range.start + token.end),
        );
    }

    /// Each word of prose is there in one piece.
    fn prose(&self, case: &Case) -> Result<(), String> {
        for range in &self.prose {
            let word = &case.source[range.clone()];
            let mut last: Option<(u32, u32)> = None;
            for (offset, c) in word.char_indices() {
                let at = range.start + offset;
                let Spot::At(part, place) = case.map.spots[at] else {
                    if c.is_control() || is_footnote_mark(case, at) || is_list_mark(case, at, c) {
                        continue;
                    }
                    return Err(format!("prose: {c:?} of {word:?} at {at} is lost"));
                };
                if let Some((before, end)) = last
                    && before == part
                {
                    let between = &case.parts[part as usize].text[end as usize..place as usize];
                    if !between
                        .trim_matches(|c| matches!(c, '\u{200b}' | '\u{fffd}' | '\\' | '␀'..='␡'))
                        .is_empty()
                    {
                        return Err(format!("prose: {between:?} stands within {word:?}"));
                    }
                }
                last = Some((part, place + u32::try_from(c.len_utf8()).expect("short")));
            }
        }
        Ok(())
    }

    /// Each word of a cell is there, too.
    fn cells(&self, case: &Case) -> Result<(), String> {
        for range in &self.cells {
            if case.map.keeps(range.clone()) {
                continue;
            }
            let word = &case.source[range.clone()];
            let table = self.tables.iter().find(|table| table.contains(&range.start));
            let table = table.expect("a cell is in a table");
            if !added_near(case, table).any(|text| text.contains(word)) {
                return Err(format!("prose: {word:?} of the table at {table:?} is lost"));
            }
        }
        Ok(())
    }

    /// A word, with everything that must not be torn and is connected to it.
    fn with_wholes(&self, source: &str, word: Range<usize>) -> Range<usize> {
        let mut all = word;
        loop {
            let touching = self.whole.iter().filter(|range| {
                range.start <= all.end && all.start <= range.end && units(&source[(*range).clone()]) <= WHOLE
            });
            let (start, end) = touching.fold((all.start, all.end), |(start, end), range| {
                (start.min(range.start), end.max(range.end))
            });
            let start = source[..start].trim_end_matches(|c: char| !c.is_whitespace()).len();
            let end = source.len() - source[end..].trim_start_matches(|c: char| !c.is_whitespace()).len();
            if (start..end) == all || end - start > 4 * WHOLE {
                return start..end;
            }
            all = start..end;
        }
    }

    /// No cut goes through a word, a link, a code span or emphasis that fits in a part. If what is connected does not fit, a
    /// word gives way.
    fn torn(&self, case: &Case) -> Result<(), String> {
        let fits = |range: &Range<usize>| units(&case.source[range.clone()]) <= WHOLE;
        for cut in case.map.cuts(case.source) {
            let is_code = self.code.iter().any(|code| code.range.contains(&cut));
            if is_code || self.unclear.iter().any(|range| range.contains(&cut)) {
                continue;
            }
            let start = case.source[..cut].rfind(char::is_whitespace).map_or(0, |at| at + 1);
            let end =
                case.source[cut..].find(char::is_whitespace).map_or(case.source.len(), |length| cut + length);
            // The white space before a word may be wider than a byte.
            let start = (start..=cut).find(|&at| case.source.is_char_boundary(at)).unwrap_or(cut);
            let around = [case.source[..cut].chars().next_back(), case.source[cut..].chars().next()];
            if fits(&(start..end)) && !may_part(around) && fits(&self.with_wholes(case.source, start..end)) {
                return Err(format!("torn: the word {:?} at {cut}", &case.source[start..end]));
            }
        }
        for (before, after) in case.map.edges() {
            let whole =
                self.whole.iter().find(|range| range.start <= before && after < range.end && fits(range));
            if let Some(range) = whole {
                return Err(format!("torn: {:?} between {before} and {after}", &case.source[range.clone()]));
            }
        }
        Ok(())
    }

    /// A table in a code block is narrow enough for a phone.
    fn narrow(&self, case: &Case) -> Result<(), String> {
        for (part, blocks) in case.blocks.iter().enumerate() {
            for block in blocks {
                let origin = case.map.origins[part][block.range.clone()].iter().flatten().next();
                if !origin.is_some_and(|at| self.tables.iter().any(|table| table.contains(at))) {
                    continue;
                }
                // Less than its width, never more: a cluster is one or two columns wide.
                let width =
                    |line: &str| unicode_segmentation::UnicodeSegmentation::graphemes(line, true).count();
                let text = &case.parts[part].text;
                if let Some(line) =
                    block.lines.iter().map(|line| &text[line.clone()]).find(|line| width(line) > 40)
                {
                    return Err(format!("table: more than 40 columns in {line:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Where in an HTML block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Html {
    Text,
    Tag,
    Entity,
    Comment,
}

fn words(source: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let solid: String = source[range.clone()]
        .chars()
        .flat_map(|c| std::iter::repeat_n(if c.is_alphanumeric() { 'x' } else { ' ' }, c.len_utf8()))
        .collect();
    tokens(&solid).into_iter().map(|token| range.start + token.start..range.start + token.end).collect()
}

/// Part of a `[^1]` or `[^1]:` whose label is there.
fn is_footnote_mark(case: &Case, at: usize) -> bool {
    let start = line_start(case.source, at);
    let marks = case.source[start..].match_indices("[^").map(|(offset, _)| start + offset);
    marks.take_while(|open| *open <= at).any(|open| {
        let Some(length) = case.source[open..].find(']') else { return false };
        let end = open + length + 1;
        let end = end + usize::from(case.source[end..].starts_with(':'));
        let label = &case.source[open + 2..open + length];
        let label_is_there = || {
            case.map.keeps(open + 2..open + length)
                || added_near(case, &(open..end)).any(|text| text.contains(label))
        };
        at < end && label_is_there()
    })
}

/// What was added to the parts that these bytes of the source are in.
fn added_near<'a>(case: &Case<'a>, range: &Range<usize>) -> impl Iterator<Item = &'a str> {
    let overlaps = |part: &&Part| part.source.start < range.end && range.start < part.source.end;
    let parts = case.parts.iter().filter(overlaps);
    parts.flat_map(|part| part.added.iter().map(|at| &part.text[at.clone()]))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1)
}

/// Part of a `+`, `7.` or `7)` at the start of a line.
fn is_list_mark(case: &Case, at: usize, c: char) -> bool {
    let start = line_start(case.source, at);
    let digits = case.source[at..].trim_start_matches(|c: char| c.is_ascii_digit());
    let before = case.source[start..at].trim_end_matches(|c: char| c.is_ascii_digit());
    let marks = match c {
        '0'..='9' => digits.starts_with(['.', ')']),
        '.' | ')' | '+' => true,
        _ => false,
    };
    marks && discord::is_lead(before)
}

/// Whether there may be a cut between these two without a space: in scripts without spaces, and after a stop that is not
/// ASCII.
fn may_part([before, after]: [Option<char>; 2]) -> bool {
    let spaceless = |c: Option<char>| {
        c.is_some_and(|c| {
            matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
                | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
                | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}' | '\u{1f000}'..='\u{3ffff}')
        })
    };
    spaceless(before) || spaceless(after) || before.is_some_and(|c| !c.is_ascii() && !c.is_alphanumeric())
}
