"""What is trained on the pictures' side: mixes of an image encoder's layers or of levels of blur."""
