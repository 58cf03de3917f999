//! What the agent asks of the bot, and waits for.

use serde::Deserialize;
use serde_json::Value;

use super::AgentEvent;
use crate::agent::denial::ReportedDenial;
use crate::agent::own_tools::{self, ServerMessage};
use crate::agent::question::{AskedQuestion, QuestionId, RawQuestion};

#[derive(Deserialize)]
pub struct Request {
    request_id: String,
    request: Value,
}

#[derive(Deserialize)]
pub struct CancelledRequest {
    request_id: String,
}

/// The agent no longer waits for an answer.
pub fn withdrawn(CancelledRequest { request_id }: CancelledRequest) -> AgentEvent {
    AgentEvent::Withdrawn(QuestionId(request_id))
}

/// What the agent asks for.
///
/// # Errors
/// If it cannot be understood.
pub fn request(Request { request_id: request, request: body }: Request) -> serde_json::Result<AgentEvent> {
    Ok(match body["subtype"].as_str() {
        Some("can_use_tool") => {
            let denial = ReportedDenial::deserialize(&body)?.asked();
            let question = RawQuestion::deserialize(body)?.read(&request).map(Box::new);
            AgentEvent::MayIUse { request, denial, question }
        }
        Some("elicitation") => {
            let server = body["mcp_server_name"].as_str().unwrap_or_default().to_owned();
            let question = AskedQuestion::of_elicitation(&request, &body).map(Box::new);
            AgentEvent::Elicits { request, server, question }
        }
        Some("mcp_message") => match own_tools::read(&request, &body) {
            ServerMessage::Answered(reply) => AgentEvent::OwnServer { request, reply },
            ServerMessage::SendFiles(files) => AgentEvent::SendsFiles(files),
        },
        Some(subtype) => AgentEvent::OtherRequest { subtype: subtype.to_owned(), request },
        None => return Err(serde::de::Error::missing_field("subtype")),
    })
}
