-- Which messages are for the bot, and what it is asked. A message that is for the bot then goes to the
-- project that routing.lua names.

---@type Triggers
return {
  -- Messages that mention the bot. The mention itself is not part of the prompt.
  mention = true,

  -- The rest needs the "Message Content Intent" (Discord's developer portal, your application, "Bot").

  -- Messages that begin with one of these; what follows is the prompt.
  -- prefixes = { "!ask " },

  -- Regular expressions, in Rust's syntax. The first group is the prompt; (?s) lets `.` match line ends.
  -- patterns = { [[(?is)^hey moon,\s+(.+)]] },

  -- Every message in these channels and their threads.
  -- all_messages_in = { "231200000000000004" },
}

-- Or decide yourself: return the prompt, or nil where the message is not for the bot.
--
-- return function(message)
--   if message.mentions_me then return message.text end
--   return message.text:match("^moon[,:]%s*(.+)")
-- end
