-- Small words that several commands need.
local say = {}

-- "5m ago", from seconds since 1970.
function say.ago(now, time)
  local seconds = math.max(0, now - time)
  if seconds < 60 then return "just now" end
  return say.span(seconds) .. " ago"
end

-- "40s", "5m", "3h", "2d".
function say.span(seconds)
  if seconds < 60 then return ("%ds"):format(math.floor(seconds)) end
  if seconds < 3600 then return ("%dm"):format(math.floor(seconds / 60)) end
  if seconds < 86400 then return ("%dh"):format(math.floor(seconds / 3600)) end
  return ("%dd"):format(math.floor(seconds / 86400))
end

-- "1 turn", "2 turns".
function say.count(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

-- A text on one line, at most so many bytes, never cut inside a character.
function say.line(text, most)
  text = text:gsub("%s+", " ")
  if #text <= most then return text end
  while most > 0 and text:find("^[\128-\191]", most + 1) do most = most - 1 end
  return text:sub(1, most) .. "…"
end

return say
