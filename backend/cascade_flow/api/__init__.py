"""What the HTTP functions share: requests read with suspicion, answers, problems. How a run moves is not known here."""
