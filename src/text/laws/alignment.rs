//! The law of exactness: the parts are the source, apart from what they say was added and dropped. So each byte has its
//! place.

use std::ops::Range;

use super::{Part, floor};

/// Where a byte of the source arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// Nowhere.
    Dropped,
    /// In this part, at this byte.
    At(u32, u32),
}

/// Which byte went where.
#[derive(Debug)]
pub struct Map {
    /// For each byte of the source.
    pub spots: Vec<Spot>,
    /// For each part and each byte of its text, the byte of the source; `None` if it was added.
    pub origins: Vec<Vec<Option<usize>>>,
}

impl Map {
    /// Whether these bytes of the source are in the parts.
    pub fn keeps(&self, range: Range<usize>) -> bool {
        self.spots[range].iter().all(|spot| *spot != Spot::Dropped)
    }

    /// The cuts with text on both sides and not even a space in between: where the second side begins.
    pub fn cuts<'a>(&'a self, source: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.edges()
            .filter(|(before, after)| {
                let solid = |text: &str, last: bool| {
                    let c = if last { text.chars().next_back() } else { text.chars().next() };
                    c.is_some_and(|c| !c.is_whitespace())
                };
                before + 1 == *after && solid(&source[..*after], true) && solid(&source[*after..], false)
            })
            .map(|(_, after)| after)
    }

    /// For each cut, the last byte of the source that is before it, and the first one after it.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.origins.windows(2).filter_map(|pair| {
            let before = pair[0].iter().rev().flatten().next()?;
            let after = pair[1].iter().flatten().next()?;
            Some((*before, *after))
        })
    }
}

/// Checks that the ranges of the parts tile the source, and that a part's text without what was added is its slice of the
/// source without what was dropped.
pub fn align(source: &str, parts: &[Part]) -> Result<Map, String> {
    let mut spots = vec![Spot::Dropped; source.len()];
    let mut origins = Vec::new();
    let mut begin = 0;
    for (number, part) in parts.iter().enumerate() {
        let fault = |what: &str| Err(format!("{what} in part {number}, {:?}\n{}", part.source, part.text));
        if part.source.start != begin || part.source.end < begin || !source.is_char_boundary(part.source.end)
        {
            return fault(&format!("tiling: the source goes on at {begin}"));
        }
        begin = part.source.end;
        if !well_formed(&part.added, &(0..part.text.len()), &part.text) {
            return fault(&format!("ranges: added {:?}", part.added));
        }
        if !well_formed(&part.dropped, &part.source, source) {
            return fault(&format!("ranges: dropped {:?}", part.dropped));
        }
        let own = outside(&(0..part.text.len()), &part.added);
        let kept = outside(&part.source, &part.dropped);
        let pairs = own
            .clone()
            .zip(kept.clone())
            .find(|(at, from)| part.text.as_bytes()[*at] != source.as_bytes()[*from]);
        if let Some((at, from)) = pairs {
            let (here, there) = (floor(&part.text, at), floor(source, from));
            let show = |text: &str| text.chars().take(40).collect::<String>();
            return fault(&format!(
                "exactness: {:?} stands at {at} where the source has {:?} at {from}",
                show(&part.text[here..]),
                show(&source[there..])
            ));
        }
        let (own_count, kept_count) = (own.clone().count(), kept.clone().count());
        if own_count != kept_count {
            return fault(&format!(
                "exactness: {own_count} bytes are from the source, and it keeps {kept_count}"
            ));
        }
        let mut origin = vec![None; part.text.len()];
        for (at, from) in own.zip(kept) {
            origin[at] = Some(from);
            let (number, at) = (u32::try_from(number).expect("few parts"), u32::try_from(at).expect("short"));
            spots[from] = Spot::At(number, at);
        }
        origins.push(origin);
    }
    if !parts.is_empty() && begin != source.len() {
        return Err(format!("tiling: the parts end at {begin} of {}", source.len()));
    }
    Ok(Map { spots, origins })
}

/// Sorted, disjoint, not empty, within the bounds, and between characters.
fn well_formed(ranges: &[Range<usize>], bounds: &Range<usize>, text: &str) -> bool {
    let mut from = bounds.start;
    ranges.iter().all(|range| {
        let ordered = from <= range.start && range.start < range.end && range.end <= bounds.end;
        from = range.end;
        ordered && text.is_char_boundary(range.start) && text.is_char_boundary(range.end)
    })
}

/// The bytes within the bounds that are in none of the ranges.
fn outside<'a>(
    bounds: &Range<usize>,
    ranges: &'a [Range<usize>],
) -> impl Iterator<Item = usize> + Clone + 'a {
    let starts = std::iter::once(bounds.start).chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain([bounds.end]);
    starts.zip(ends).flat_map(|(start, end)| start..end)
}
