-- Many display filters in one run of tshark: for each line of the file FILTERS a line "number of the filter, tab, frames that fit"
-- in the file FRAMES.
local got = {}
local n = 0
for filter in io.lines(os.getenv("FILTERS")) do
	n = n + 1
	local frames = {}
	got[n] = frames
	local ok, tap = pcall(Listener.new, "frame", filter)
	if not ok then
		frames[1] = "refused"
	else
		tap.packet = function(pinfo)
			frames[#frames + 1] = pinfo.number
		end
	end
end
local last = Listener.new("frame")
last.draw = function()
	local out = assert(io.open(os.getenv("FRAMES"), "w"))
	for i = 1, n do
		out:write(i, "\t", table.concat(got[i], ","), "\n")
	end
	out:close()
end
