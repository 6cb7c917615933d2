"""The strangest events of many hours of video, found clip by clip, on one machine or on many."""
