//! Discord's permissions, by their names in lower case.

use super::data::{BadValue, shown};
use crate::domain::Permission;
use crate::nearest::nearest;

/// The bit of each, from Discord's documentation ("Permissions", "Bitwise Permission Flags").
const PERMISSIONS: [(&str, u32); 50] = [
    ("create_instant_invite", 0),
    ("kick_members", 1),
    ("ban_members", 2),
    ("administrator", 3),
    ("manage_channels", 4),
    ("manage_guild", 5),
    ("add_reactions", 6),
    ("view_audit_log", 7),
    ("priority_speaker", 8),
    ("stream", 9),
    ("view_channel", 10),
    ("send_messages", 11),
    ("send_tts_messages", 12),
    ("manage_messages", 13),
    ("embed_links", 14),
    ("attach_files", 15),
    ("read_message_history", 16),
    ("mention_everyone", 17),
    ("use_external_emojis", 18),
    ("view_guild_insights", 19),
    ("connect", 20),
    ("speak", 21),
    ("mute_members", 22),
    ("deafen_members", 23),
    ("move_members", 24),
    ("use_vad", 25),
    ("change_nickname", 26),
    ("manage_nicknames", 27),
    ("manage_roles", 28),
    ("manage_webhooks", 29),
    ("manage_guild_expressions", 30),
    ("use_application_commands", 31),
    ("request_to_speak", 32),
    ("manage_events", 33),
    ("manage_threads", 34),
    ("create_public_threads", 35),
    ("create_private_threads", 36),
    ("use_external_stickers", 37),
    ("send_messages_in_threads", 38),
    ("use_embedded_activities", 39),
    ("moderate_members", 40),
    ("view_creator_monetization_analytics", 41),
    ("use_soundboard", 42),
    ("create_guild_expressions", 43),
    ("create_events", 44),
    ("use_external_sounds", 45),
    ("send_voice_messages", 46),
    ("send_polls", 49),
    ("use_external_apps", 50),
    ("pin_messages", 51),
];

/// The permission with this name.
pub fn permission(name: &str) -> Result<Permission, BadValue> {
    if let Some((name, bit)) = PERMISSIONS.iter().find(|(known, _)| *known == name) {
        return Ok(Permission { name, bits: 1 << bit });
    }
    let near = nearest(&name.to_lowercase(), PERMISSIONS.iter().map(|(name, _)| *name));
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => "use Discord's name in lower case, such as \"manage_messages\"".to_owned(),
    };
    Err(BadValue::here(format!("there is no permission {}; {hint}", shown(name))))
}
