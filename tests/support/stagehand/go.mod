module berth.dev/stagehand

go 1.26.0
