//! The board: one message, in a channel that operators choose, with every turn that runs or waits.
//!
//! The store says where it is to stand, and this task makes it so: it posts the board, edits it, at most once in a while and
//! only where it has changed, and takes away what is left of earlier ones. So a bot that was killed anywhere in between is
//! followed by one that goes on. A board whose post was not recorded is found in the channel by its look; where that is
//! not there yet, its nonce keeps it from standing there twice.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::Turns;
use crate::domain::{ChannelId, InteractionId, MessageId};
use crate::lane::LaneView;
use crate::logging::chain;
use crate::outbox::{Notify, Post, Refused};
use crate::store::{BoardRow, ShownMessage, StoreError};
use crate::view::{self, BoardTurn, Standing};
use crate::words::live as words;

/// How long one call for the board may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What did not work is tried again after this; by then Discord has carried out a call that it did not answer, or never will.
const AGAIN: Duration = Duration::from_secs(60);
/// How many turns are looked at; more do not fit.
const MOST: usize = 20;

impl Turns {
    /// From now on the board stands in this channel, or nowhere; whether there was one before.
    ///
    /// # Errors
    /// If the database fails; then nothing changes.
    pub async fn want_board(
        &self,
        wanted: Option<ChannelId>,
        asked: InteractionId,
    ) -> Result<bool, StoreError> {
        let before = self.store.want_board(wanted, asked).await?;
        self.0.board_wanted.send_replace(());
        Ok(before)
    }
}

/// Keeps the board as it is to be, until the bot stops.
pub fn keep(turns: &Turns) {
    let turns_of_task = turns.clone();
    turns.0.tasks.spawn(async move {
        let ending = turns_of_task.0.ending.clone();
        tokio::select! {
            () = ending.cancelled() => {}
            () = follow(&turns_of_task) => {}
        }
    });
}

/// What is known of the board by this bot.
struct BoardState {
    /// For the time of the wall of what began at an instant, always the same.
    begun: (Instant, u64),
    /// What stands there now.
    shown: Option<(MessageId, String)>,
    /// Which earlier boards were looked for in vain.
    looked_for: Vec<MessageId>,
}

async fn follow(turns: &Turns) {
    let (mut moved, mut wanted) = (turns.lanes.moved(), turns.0.board_wanted.subscribe());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut state = BoardState { begun: (Instant::now(), now), shown: None, looked_for: Vec::new() };
    loop {
        moved.mark_unchanged();
        wanted.mark_unchanged();
        let is_done = match state.bring_up_to_date(turns).await {
            Ok(is_done) => is_done,
            Err(error) => {
                warn!(error = chain(&error), "the board is not up to date");
                false
            }
        };
        let next = tokio::time::Instant::now() + turns.live_times.most_pause;
        tokio::select! {
            _ = wanted.changed() => {}
            () = async {
                let _ = moved.changed().await;
                sleep_until(next).await;
            }, if state.shown.is_some() => {}
            () = sleep(AGAIN), if !is_done => {}
        }
    }
}

impl BoardState {
    /// Whether all is as it is to be.
    async fn bring_up_to_date(&mut self, turns: &Turns) -> Result<bool, StoreError> {
        let mut is_done = true;
        let mut stands = false;
        for board in turns.store.boards().await? {
            if board.is_wanted {
                stands = true;
                is_done &= self.show(turns, board).await?;
            } else {
                is_done &= self.take_away(turns, board).await?;
            }
        }
        if !stands {
            self.shown = None;
        }
        Ok(is_done)
    }

    /// Posts or edits it; false where that is to be tried again.
    async fn show(&mut self, turns: &Turns, board: BoardRow) -> Result<bool, StoreError> {
        let text = self.draw(turns).await?;
        let done = match self.where_it_stands(turns, board).await {
            Ok(Some(posted)) if self.shown.as_ref() == Some(&(posted, text.clone())) => return Ok(true),
            Ok(Some(posted)) => {
                let edited = timeout(PATIENCE, turns.outbox.edit(board.channel, posted, &text, &[])).await;
                edited.unwrap_or_else(|_| Err(late())).map(|()| posted)
            }
            Ok(None) => {
                let post = Post {
                    content: text.clone(),
                    nonce: format!("b-{}", board.asked),
                    reply_to: None,
                    notify: Notify::Nobody,
                    file: None,
                    rows: Vec::new(),
                };
                let posted = timeout(PATIENCE, turns.outbox.post(board.channel, post)).await;
                posted.unwrap_or_else(|_| Err(late()))
            }
            Err(refused) => Err(refused),
        };
        match done {
            Ok(posted) => {
                self.shown = Some((posted, text));
                if board.message != ShownMessage::Stands(posted) {
                    turns.store.note_board(board.asked, posted).await?;
                }
                Ok(true)
            }
            Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                debug!(%refused, "the board is not up to date");
                self.shown = None;
                Ok(false)
            }
            // Somebody has deleted it.
            Err(Refused::NotFound { .. }) => {
                info!(channel = %board.channel, "the board is gone");
                self.shown = None;
                turns.store.forget_board(board.asked).await?;
                Ok(true)
            }
            Err(refused) => {
                warn!(%refused, channel = %board.channel, "the board is given up");
                turns.tell_operators(words::board_refused(board.channel));
                self.shown = None;
                turns.store.forget_board(board.asked).await?;
                Ok(true)
            }
        }
    }

    /// The message of this board, also where its post was not recorded.
    async fn where_it_stands(&self, turns: &Turns, board: BoardRow) -> Result<Option<MessageId>, Refused> {
        if let ShownMessage::Stands(message) = board.message {
            return Ok(Some(message));
        }
        let mut history = turns.outbox.history(board.channel, board.asked, turns.me);
        let looked = async {
            while let Some(own) = history.next().await? {
                if let Some(found) = own.iter().find(|it| it.silent && view::is_board(&it.content)) {
                    return Ok(Some(found.id));
                }
            }
            Ok(None)
        };
        timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err(late()))
    }

    /// Takes away what is not wanted any more; false where that is to be tried again.
    async fn take_away(&mut self, turns: &Turns, board: BoardRow) -> Result<bool, StoreError> {
        let gone = match self.where_it_stands(turns, board).await {
            Ok(Some(posted)) => {
                let deleted = timeout(PATIENCE, turns.outbox.delete(board.channel, posted)).await;
                deleted.unwrap_or_else(|_| Err(late()))
            }
            // It may still come.
            Ok(None) if !self.looked_for.contains(&board.asked) => {
                self.looked_for.push(board.asked);
                return Ok(false);
            }
            Ok(None) => Ok(()),
            Err(refused) => Err(refused),
        };
        match gone {
            Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                debug!(%refused, "an earlier board is not taken away yet");
                Ok(false)
            }
            gone => {
                if let Err(refused) = gone {
                    debug!(%refused, "an earlier board cannot be taken away");
                }
                turns.store.forget_board(board.asked).await?;
                Ok(true)
            }
        }
    }

    async fn draw(&self, turns: &Turns) -> Result<String, StoreError> {
        let lanes = turns.lanes.view();
        let running = lanes.iter().filter(|lane| lane.running.is_some()).count();
        let waiting = lanes.iter().map(|lane| lane.waiting.len()).sum();
        let mut listed = Vec::new();
        for (channel, turn, since, is_running) in in_order(&lanes) {
            let Some(row) = turns.store.turn(turn).await? else { continue };
            let guild = turns.store.guild_of(channel).await?;
            let place = guild.map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
            let link = format!(
                "https://discord.com/channels/{place}/{channel}/{}",
                row.turn.prompt_message.id(turn)
            );
            let since = match is_running {
                true => self.on_the_wall(since),
                // Also over a restart.
                false => u64::try_from(row.turn.accepted.0 / 1000).unwrap_or_default(),
            };
            let state = match is_running {
                true if turns.asks(turn) => Standing::Asks(row.turn.author.id),
                true => Standing::Runs,
                false => Standing::Waits,
            };
            listed.push(BoardTurn { link, state, since });
        }
        Ok(view::draw_board(&listed, running, waiting))
    }

    /// In Unix seconds.
    fn on_the_wall(&self, at: Instant) -> u64 {
        let (begun, wall) = self.begun;
        match at.checked_duration_since(begun) {
            Some(later) => wall + later.as_secs(),
            None => wall - begun.duration_since(at).as_secs().min(wall),
        }
    }
}

/// The turns that are listed: those that run first, each kind by its time.
fn in_order(lanes: &[LaneView]) -> Vec<(ChannelId, MessageId, Instant, bool)> {
    let mut turns = Vec::new();
    for lane in lanes {
        turns.extend(lane.running.map(|(turn, since)| (lane.channel, turn, since, true)));
        turns.extend(lane.waiting.iter().map(|&(turn, since)| (lane.channel, turn, since, false)));
    }
    turns.sort_by_key(|&(_, turn, since, is_running)| (!is_running, since, turn));
    turns.truncate(MOST);
    turns
}

fn late() -> Refused {
    Refused::GaveUp { why: "no answer in time".to_owned(), sent: true }
}
