"""Sources behind a grism: the direct image, where light goes, and all of them as one scene."""
