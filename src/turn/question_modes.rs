//! What answers do to the permission mode of later turns, and what a project lets them do.

use std::sync::Arc;

use super::Turns;
use super::answers::Offers;
use crate::agent::{Grant, Question, QuestionAbout};
use crate::domain::{ChannelId, PermissionMode, Project, ProjectName, SettingSource};
use crate::store::{QuestionKey, StoreError};

/// The mode of the next turn, where an approval is about it: another one than `now`, or the same where the project does not
/// take what was wanted. A turn of which Claude itself has made one that plans changes nothing by a mere approval: the next
/// one has the channel's mode again.
fn mode_after(project: &Project, now: Option<PermissionMode>, accept_edits: bool) -> Option<PermissionMode> {
    let wanted = if accept_edits { PermissionMode::AcceptEdits } else { PermissionMode::Default };
    let is_about_it = accept_edits || now == Some(PermissionMode::Plan);
    match is_about_it && now != Some(wanted) {
        true if project.takes_mode(wanted) => Some(wanted),
        true => now,
        false => None,
    }
}

/// The question without what the project does not let anybody allow.
pub fn within(project: &Project, mut question: Question) -> Question {
    if let QuestionAbout::Permission(permission) = &mut question.about
        && permission.grant == Some(Grant::AcceptEdits)
        && !project.takes_mode(PermissionMode::AcceptEdits)
    {
        permission.grant = None;
    }
    question
}

impl Turns {
    /// Whether edits may be accepted in this project as it is now.
    pub(super) fn takes_edits(&self, project: &ProjectName) -> bool {
        let scripts = self.scripts.borrow();
        scripts.project(project).is_some_and(|project| project.takes_mode(PermissionMode::AcceptEdits))
    }

    /// What can be pressed below questions in this project.
    pub(super) fn offers(&self, project: &ProjectName) -> Offers {
        let reads = |project: &Arc<Project>| project.setting_sources.contains(&SettingSource::User);
        let always = self.scripts.borrow().project(project).is_some_and(reads);
        Offers { edits: self.takes_edits(project), always }
    }

    /// Writes down which mode the channel has once its plan is approved, as `/mode` would, and with the question what is to be
    /// said of it.
    pub(super) async fn keep_mode(
        &self,
        question: QuestionKey,
        channel: ChannelId,
        project: &ProjectName,
        accept_edits: bool,
    ) -> Result<(), StoreError> {
        let Some(project) = self.scripts.borrow().project(project).cloned() else { return Ok(()) };
        let choice = self.store.channel(channel).await?.choice.within(&project);
        let now = choice.permission_mode.or(project.permission_mode);
        match mode_after(&project, now, accept_edits) {
            Some(next) => self.store.set_mode_by_plan(question, channel, next, Some(next) != now).await,
            None => Ok(()),
        }
    }
}
