"""The whole RPC surface of CARLA 0.9.16's client has a handler, and the server listens on this machine only."""

from __future__ import annotations

from pathlib import Path

from sim.server.rpc import METHODS
from tests.sim.server.conftest import ServerProcess

NAMES = """
add_actor_angular_impulse add_actor_force add_actor_force_at_location add_actor_impulse
add_actor_impulse_at_location add_actor_torque add_traffic_manager_running apply_ackermann_control_to_vehicle
apply_ackermann_controller_settings apply_batch apply_color_texture_to_objects apply_control_to_vehicle
apply_control_to_walker apply_float_color_texture_to_objects apply_physics_control are_gbuffers_enabled
blend_pose cast_ray clear_debug_shape clear_debug_string close_vehicle_door copy_opendrive_to_file destroy_actor
destroy_traffic_manager disable_actor_constant_velocity disable_sensor_for_ros draw_debug_shape
enable_actor_constant_velocity enable_carsim enable_chrono_physics enable_environment_objects enable_gbuffers
enable_sensor_for_ros freeze_all_traffic_lights freeze_traffic_light get_ackermann_controller_settings
get_actor_bone_names get_actor_bone_relative_transforms get_actor_bone_world_transforms get_actor_bounding_box
get_actor_component_names get_actor_component_relative_transform get_actor_component_world_transform
get_actor_definitions get_actor_socket_names get_actor_socket_relative_transforms
get_actor_socket_world_transforms get_actors_by_id get_all_level_BBs get_available_maps get_bones_transform
get_environment_objects get_episode_info get_episode_settings get_gbuffer_token get_group_traffic_lights
get_imui_gravity get_light_boxes get_map_data get_map_info get_names_of_all_objects get_navigation_mesh
get_physics_control get_pose_from_animation get_required_files get_sensor_token get_spectator get_telemetry_data
get_traffic_manager_running get_vehicle_bone_world_transforms get_vehicle_light_state get_vehicle_light_states
get_weather_parameters get_wheel_pitch_angle get_wheel_steer_angle is_sensor_enabled_for_ros
is_traffic_manager_running load_map_layer load_new_episode open_vehicle_door project_point query_lights_state
replay_file request_file reset_all_traffic_lights reset_traffic_light_group restore_physx_physics send
set_actor_autopilot set_actor_collisions set_actor_dead set_actor_enable_gravity set_actor_location
set_actor_simulate_physics set_actor_target_angular_velocity set_actor_target_velocity set_actor_transform
set_annotations_traverse_translucency set_bones_transform set_episode_settings set_ignored_vehicles
set_imui_gravity set_replayer_ignore_hero set_replayer_ignore_spectator set_replayer_time_factor
set_traffic_light_green_time set_traffic_light_red_time set_traffic_light_state set_traffic_light_yellow_time
set_vehicle_light_state set_weather_parameters set_wheel_pitch_angle set_wheel_steer_direction
show_recorder_actors_blocked show_recorder_collisions show_recorder_file_info show_vehicle_debug_telemetry
spawn_actor spawn_actor_with_parent start_recorder stop_recorder stop_replayer tick_cue unload_map_layer
update_day_night_cycle update_lights_state use_carsim_road version
"""
"""Every method that the client can call, read from its symbols."""
OURS = {"console_command", "throttle_will_announce_ticks", "throttle_tick_begins", "throttle_tick_ends"}


def test_every_call_of_the_client_has_a_handler() -> None:
    assert set(METHODS) == set(NAMES.split()) | OURS
    assert len(NAMES.split()) == 128


def test_only_this_machine_can_reach_it(server: ServerProcess) -> None:
    bound = [line.split()[1].split(":") for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [address for address, port in bound if int(port, 16) in (server.port, server.port + 1)]
    assert set(ours) == {"0100007F"}
