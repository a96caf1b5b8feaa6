--[[
  Was this call answered before? A client repeats a call whose reply was cut off under the same
  number; a call that Redis held back for long may even come after the next one.

  TAKES  nothing but what common gives
  GIVES  last    number and memo of this client's last call, false if it is not known
         before  the same if this call has run by then, else nil or false
]]

local last = call('GET', last_call)
local before = last
if before and tonumber(ARGV[1]) > tonumber(string.match(before, '^%d+')) then
  before = nil
end
