"""Images and lidar to a Scene."""
