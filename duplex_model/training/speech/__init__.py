"""Speech that is synthesised: engines and voices, the time of every word and phone, and what a room does to it."""
