"""Everything that decodes media: facts about files, previews, faces, quality measures, and joining shots to a film."""
