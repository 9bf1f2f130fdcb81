"""What a load consists of: curve, journeys, data, placeholders, schedules, captured requests."""
