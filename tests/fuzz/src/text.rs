//! The splitter over any bytes: it does not panic, and all laws hold that ask no parser.
//!
//! The first byte chooses the format; the rest is the text. Both the splitter and the laws are the files of the bot
//! itself.

#![no_main]

use std::num::NonZeroUsize;

use domain::Format;
use libfuzzer_sys::fuzz_target;

#[path = "../../../src"]
#[allow(dead_code, reason = "the bot uses more of it")]
mod bot {
    pub mod text;
}

/// What the splitter needs of the bot's own module of this name.
mod domain {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Format {
        pub dialect: bool,
        pub max_lines: Option<std::num::NonZeroUsize>,
    }
}

/// Stands where the laws look for the splitter.
#[path = "../../../src/text"]
#[allow(dead_code, reason = "the laws that ask a parser are left out")]
mod checked {
    pub use crate::bot::text::{LIMIT, Part, Splitter, parts};

    pub mod laws;

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }
}

fuzz_target!(|input: (u8, &str)| {
    let (choice, source) = input;
    let lines = NonZeroUsize::new(usize::from(choice >> 2)).filter(|_| choice & 2 != 0);
    let format = Format { dialect: choice & 1 != 0, max_lines: lines };
    if let Err(fault) = checked::laws::check_form(source, &format) {
        panic!("{fault}");
    }
});
