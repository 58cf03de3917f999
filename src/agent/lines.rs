//! Lines from a pipe, with bounded memory.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line that is read; the CLI's lines carry whole answers and images, so they may be long.
pub const LONGEST_LINE: usize = 32 << 20;

/// A line's buffer that has grown beyond this is freed.
const KEPT_BUFFER: usize = 1 << 20;

/// Lines from a pipe: of bounded length, and safe to stop waiting for at any moment.
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// `line` has been handed out and is to be cleared before more is read.
    handed_out: bool,
    /// The rest of an overlong line is being skipped.
    skipping: bool,
    longest: usize,
}

/// One line of a pipe, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub enum PipeLine<'a> {
    /// The line's bytes, which need not be UTF-8.
    Bytes(&'a [u8]),
    /// A line over the limit; it was skipped.
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub fn new(pipe: R, longest: usize) -> Self {
        let reader = BufReader::with_capacity(16 << 10, pipe);
        Self { reader, line: Vec::new(), handed_out: false, skipping: false, longest }
    }

    /// The next line; the last one needs no newline. Cancel-safe.
    pub async fn next(&mut self) -> io::Result<PipeLine<'_>> {
        // Thousands of short lines fit into the buffer, and reading them must not keep others from their turn.
        tokio::task::consume_budget().await;
        if self.handed_out {
            self.handed_out = false;
            self.line.clear();
            self.line.shrink_to(KEPT_BUFFER);
        }
        loop {
            let available = self.reader.fill_buf().await?;
            let newline = available.iter().position(|&byte| byte == b'\n');
            let taken = newline.unwrap_or(available.len());
            let ended = available.is_empty();
            if !self.skipping && self.line.len() + taken > self.longest {
                self.skipping = true;
                self.line = Vec::new();
            }
            if !self.skipping {
                self.line.extend_from_slice(&available[..taken]);
            }
            self.reader.consume(taken + usize::from(newline.is_some()));

            if newline.is_none() && !ended {
                continue;
            }
            if std::mem::take(&mut self.skipping) {
                return Ok(PipeLine::TooLong);
            }
            if ended && self.line.is_empty() {
                return Ok(PipeLine::End);
            }
            self.handed_out = true;
            return Ok(PipeLine::Bytes(&self.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], longest: usize) -> Vec<String> {
        let mut lines = Lines::new(input, longest);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                PipeLine::Bytes(bytes) => seen.push(String::from_utf8_lossy(bytes).into_owned()),
                PipeLine::TooLong => seen.push("(too long)".to_owned()),
                PipeLine::End => return seen,
            }
        }
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_the_end_of_the_pipe() {
        assert_eq!(lines(b"", 9).await, [""; 0]);
        assert_eq!(lines(b"a\n\nb", 9).await, ["a", "", "b"]);
        assert_eq!(lines(b"a\n\xff\n", 9).await, ["a", "\u{fffd}"]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_skipped_and_the_next_one_is_read() {
        assert_eq!(lines(b"123\n1234\n12345\n", 4).await, ["123", "1234", "(too long)"]);
        assert_eq!(lines(b"12345\n1\n12345", 4).await, ["(too long)", "1", "(too long)"]);
        let mut long = vec![b'x'; 100_000];
        long.extend_from_slice(b"\nok\n");
        assert_eq!(lines(&long, 99_999).await, ["(too long)", "ok"]);
    }
}
